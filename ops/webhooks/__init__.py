"""The process that delivers webhooks, a receiver to try them with, and the commands about endpoints."""
