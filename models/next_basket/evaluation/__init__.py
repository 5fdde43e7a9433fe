"""How well next baskets are predicted: splits, figures, the comparison and its tables."""
