"""Chaos: a real installation under load, faults of every kind, and an audit of what is left."""
