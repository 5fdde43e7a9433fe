"""Figures of the shop and of its visitors."""
