"""`python -m jaxprune COMMAND …`: the command line without the console script."""

from jaxprune.cli.main import main

main()
