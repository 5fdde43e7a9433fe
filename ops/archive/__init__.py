"""The archive as a process and as commands."""
