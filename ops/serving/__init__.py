"""The API as processes on a port: limits of connections, an orderly end, several processes as one."""

GRACE_S = 10
"""What is under way when no more connections are taken has this long to finish."""
