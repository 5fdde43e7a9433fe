"""Sessions as they are kept for recommendations, see docs/recommendations.md."""
