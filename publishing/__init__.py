"""Publishes what visitors would be shown now, in a process of its own, as they act."""
