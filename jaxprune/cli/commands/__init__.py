"""One file per command: `main(program, arguments)`, and its help as the docstring."""
