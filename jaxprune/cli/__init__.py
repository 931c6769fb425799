"""The command line: `jaxprune COMMAND`, and the same commands from scripts/; each is a file in commands/."""
