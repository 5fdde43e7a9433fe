"""Alerts: read, streamed, exported and handled."""
