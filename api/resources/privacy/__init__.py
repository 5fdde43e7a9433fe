"""Deletion of visitors, followed until nothing of them is left."""
