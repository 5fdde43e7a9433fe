"""Ranking the candidates of several models of the next item anew: by boosted trees, or by a weighted sum."""
