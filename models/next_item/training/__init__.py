"""Training session networks of the next item: torch and onnx, from the extra [train]."""
