"""Deleting visitors from the command line, and checking that nothing of them is left."""
