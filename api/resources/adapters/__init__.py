"""Bodies that other systems send, translated to native events: one module per system."""
