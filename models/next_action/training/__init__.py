"""Training the next-action model: torch and onnx, from the extra [train]."""
