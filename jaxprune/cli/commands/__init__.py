"""One file per command, with its help as the docstring.

A command with a config has the job `NAME(config, workdir)` and its flags in `define()`; another one has
`main(program, arguments)`.
"""
