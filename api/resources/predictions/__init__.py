"""What visitors are expected to do next."""
