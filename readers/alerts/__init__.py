"""The log of alerts, what people said of alerts, and how an alert is shown."""
