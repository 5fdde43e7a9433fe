"""Recent sessions compiled: taken where it was built from the source that is here, and may be absent."""

import hashlib
from pathlib import Path

SOURCE = Path(__file__).with_name("sessions.pyx")


def digest_of_source() -> str:
    """What `sessions.BUILT_FROM` is, if it was built from the source that is here."""
    return hashlib.blake2b(SOURCE.read_bytes(), digest_size=16).hexdigest()
