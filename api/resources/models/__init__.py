"""Which models are at work, and how good they are."""
