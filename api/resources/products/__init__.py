"""Demand of single products."""
