"""What a worker does for this extension: each module registers what it has."""
