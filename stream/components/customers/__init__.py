"""Customers: who logs in on which devices, and what they bought."""
