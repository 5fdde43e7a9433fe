"""Deleting visitors: from a request to the proof that nothing of them is left in Redis."""
