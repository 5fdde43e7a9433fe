"""Demand forecasts that learn from every bucket of time, all products at once."""
