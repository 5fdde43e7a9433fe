"""The format that a blob in Redis begins with, and the error for one that this version does not know."""

LAST_FORMAT = 127
"""No version will have a higher one, of whatever is kept as a blob."""
LATER = "a later version wrote it"
"""Part of the reason why a partition waits."""


class LaterFormat(ValueError):
    """A sound state that a later version wrote: to be left as it is."""


def unknown_format(what: str, found: object, newest: int) -> ValueError:
    """The error for a blob of `what` that begins with `found`, where this version reads up to `newest`.

    `LaterFormat` if a later version may have written it.
    """
    if type(found) is int and newest < found <= LAST_FORMAT:
        return LaterFormat(f"{what} blob has format {found}, this version reads up to {newest}")
    return ValueError(f"{what} blob begins with an unknown format")
