"""Training, evaluating and asking models from the command line."""
