"""Questions to the state of one installation in Redis, for all who read it."""
