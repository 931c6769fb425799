"""Files of a workdir and from outside: written atomically, read with errors that name file and fault.

A folder that the package writes contains a table of its files, `files.json`, with sizes and SHA-256. Only files of
such a table are removed, and a folder with other files is rejected. `report.json` contains the digests of these
tables, of `config.json` and of itself. Readers compare names and sizes; `verify` alone reads every byte. The model
card alone may change later and is in no table.
"""
