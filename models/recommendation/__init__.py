"""What to show a visitor now: recent sessions and the catalogue in memory, and a pure function over both."""
