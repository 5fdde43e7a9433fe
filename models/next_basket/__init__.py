"""Next basket: which products a customer's next purchase will hold, from the purchases before it."""
