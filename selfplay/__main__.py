"""`python -m selfplay` is the `selfplay` command."""

from selfplay.cli.app import main

main()
