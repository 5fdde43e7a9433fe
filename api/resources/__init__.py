"""What the API serves: one folder each for all that belongs to one thing."""
