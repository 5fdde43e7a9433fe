"""What every process knows of it."""

from contracts.topics import register_output_topic

TOPIC = "views"


def register() -> None:
    """Register the topic."""
    register_output_topic(TOPIC)
