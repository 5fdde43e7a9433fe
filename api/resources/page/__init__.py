"""The live page, and the snippet that shops load into their pages."""
