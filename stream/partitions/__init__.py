"""The partitions of one worker: claims, buffers, rounds, commits, timers and what they publish."""
