"""Webhooks: alerts sent to receivers of others, by the Standard Webhooks specification 1.0.0."""
