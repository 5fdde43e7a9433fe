"""The next item of a session: models over sequences of items, and how good they are."""
