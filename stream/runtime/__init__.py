"""The worker as a process: metrics, heartbeat, garbage collection, threads."""
