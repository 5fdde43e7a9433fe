"""The model that answers requests, and how good predictions are."""
