"""Customers: what they bought, and the devices on which they log in."""
