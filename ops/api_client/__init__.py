"""Asking a running API over HTTP, with the key of this machine's settings."""
