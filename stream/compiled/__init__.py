"""The hot steps of the stream in Cython. Each is defined in Python, gives the same, and may be absent."""
