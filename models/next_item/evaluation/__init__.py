"""How good models of the next item are: every prefix, the whole catalogue ranked, ties against the model."""
