"""What tells others of alerts, each way in processes of its own."""
