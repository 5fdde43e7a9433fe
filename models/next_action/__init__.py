"""What a visitor does next, and whether this session ends with a purchase."""
