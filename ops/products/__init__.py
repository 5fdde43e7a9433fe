"""Products from the command line."""
