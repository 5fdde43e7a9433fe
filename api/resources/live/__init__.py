"""The shop as a whole, right now."""
