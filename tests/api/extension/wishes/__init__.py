"""An example extension: what visitors wish, served by the API alone."""
