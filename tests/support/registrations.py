"""What a process has registered, put back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contracts import extensions, key_families, topics
from contracts.alerts import kinds
from stream.alerts import registry


@contextmanager
def own_registrations() -> Iterator[None]:
    """Whatever is registered inside is unknown again afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extensions, "_known", set())
        patch.setattr(key_families, "_FAMILIES", dict(key_families._FAMILIES))
        patch.setattr(topics, "_input_topics", list(topics._input_topics))
        patch.setattr(topics, "_output_topics", set(topics._output_topics))
        patch.setattr(topics, "_unarchived", set(topics._unarchived))
        patch.setattr(kinds, "_kinds", dict(kinds._kinds))
        patch.setattr(registry, "_makers", list(registry._makers))
        yield
