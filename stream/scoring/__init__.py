"""Predictions of visitors' next actions: asked, judged, watched."""
