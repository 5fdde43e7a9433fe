"""Senders of events: file replay and the simulated shop."""
