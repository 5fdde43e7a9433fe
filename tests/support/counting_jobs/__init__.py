"""An extension with a job about products and its topic."""
