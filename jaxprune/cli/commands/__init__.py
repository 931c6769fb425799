"""Commands of the command line, a file for each: `main(program, arguments)`, and help in its docstring."""
