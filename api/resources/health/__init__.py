"""Whether the process lives, has started and can answer; its metrics."""
