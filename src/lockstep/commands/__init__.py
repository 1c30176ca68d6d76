"""What each command of the command line does; cli.py finds them here."""
