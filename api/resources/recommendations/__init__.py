"""What to show a visitor now."""
