"""Bodies that other systems send, as native events: pure functions, one module per system."""
