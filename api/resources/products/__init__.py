"""Products: what the shop tells of them, and their demand."""
