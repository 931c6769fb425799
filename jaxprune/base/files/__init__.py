"""Files of a workdir and from outside: written atomically, read with errors that name file and fault."""
