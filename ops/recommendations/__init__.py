"""What the command about recommendations does."""
