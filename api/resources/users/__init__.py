"""State of single visitors, and what is expected of them."""
