"""The life of model versions: from a candidate through the shadow to the champion of a slot, and back."""
