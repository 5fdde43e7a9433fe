"""Comparing predictors of the next action: one protocol, one split, one table."""
