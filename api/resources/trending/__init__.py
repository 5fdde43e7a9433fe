"""Products of most recent interest."""
