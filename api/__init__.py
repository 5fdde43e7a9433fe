"""The read API over the state in Redis."""
