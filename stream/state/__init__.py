"""The state of partitions: what a commit writes, and the stores that take it."""
