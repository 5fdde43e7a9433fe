"""Webhook endpoints and the log of their deliveries; `delivery` sends."""
