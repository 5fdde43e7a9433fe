"""Running Storepulse: local stack, health checks, command line, chaos."""
