"""The consumers that are compared; each is a process of its own: `python -m benchmarks.contenders.<name>`."""
