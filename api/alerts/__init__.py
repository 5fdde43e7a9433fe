"""The log of alerts for those who follow it, and what they say of alerts."""
