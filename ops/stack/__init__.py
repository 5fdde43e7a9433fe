"""A whole installation on one machine: broker, Redis, workers and API as child processes, kept alive."""
