"""Commands about alerts: follow them, say what is being done about them, export them."""
