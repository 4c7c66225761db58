"""`python -m cli`: the command line."""

from cli.app import main

main()
