"""What visitors were recommended, and what follows from it, see docs/recommendations.md."""
