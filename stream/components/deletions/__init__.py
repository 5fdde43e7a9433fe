"""Deleted visitors: their removal, and their events kept out."""
