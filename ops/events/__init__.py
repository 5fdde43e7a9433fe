"""Following what becomes of events that were sent to the API."""
