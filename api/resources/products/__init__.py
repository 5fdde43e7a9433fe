"""Products: the shop's catalogue, and their demand."""
