"""Recommendations for the visitors of one installation, from what the stream has written of all of them."""
