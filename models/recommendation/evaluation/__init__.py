"""How good recommendations are on a shop's past, replayed in order of time."""
