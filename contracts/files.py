"""Files that cannot be written, in words for whoever named them."""

from pathlib import Path


def unwritable(path: Path, exc: OSError) -> OSError:
    """An error whose text says which file cannot be written and why, such as of a disk that is read-only."""
    reason = exc.strerror or str(exc)
    return OSError(f"cannot write {path}: {reason[:1].lower()}{reason[1:]}")
