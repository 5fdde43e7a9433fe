"""A fixture for tests of the API as a program."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from api_processes import ApiProgram, Serve
from services import unique_settings

NO_KAFKA = "127.0.0.1:1"


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Iterator[Serve]:
    """`serve(processes=2, pre_stop_s=...)`: the running program."""
    with ExitStack() as running:

        def start(processes: int = 1, env: dict[str, str] | None = None, **overrides: object) -> ApiProgram:
            settings = unique_settings(NO_KAFKA, redis_url, partitions=4, **overrides)
            return running.enter_context(ApiProgram(settings, tmp_path, processes=processes, env=env))

        yield start
