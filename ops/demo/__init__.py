"""A simulated shop flowing through an embedded stack, shown in the terminal."""
