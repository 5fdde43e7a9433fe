"""An extension with one job that takes 100 ms, for the benchmark of work beside the stream."""
