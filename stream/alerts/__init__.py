"""The pure steps of alerts."""
