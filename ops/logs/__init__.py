"""Log lines of the long-running processes, without secrets or personal data."""
