"""Fast runs (`--fast`): the tests that need no service, no other process and no patience.

Which these are is found out, not listed. A test that asks for a service, itself or through its fixtures, is
left out when tests are collected; one that turns out to start a process is skipped there; `slow` marks what
computes for long.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVICES = frozenset({"kafka_bootstrap", "redis_url", "embedded_bootstrap", "private_kafka", "private_redis"})
"""The fixtures that every service of a test comes from."""
_STARTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec"})


class FastRun:
    """The plugin of a fast run."""

    def __init__(self) -> None:
        self._is_testing = False
        sys.addaudithook(self._refuse_processes)  # for good: a fast run is a process of its own

    def _refuse_processes(self, event: str, _: tuple[Any, ...]) -> None:
        if self._is_testing and event in _STARTS:
            pytest.skip("starts a process")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Refuse processes while a test runs, and not while pytest itself starts some."""
        self._is_testing = True
        try:
            return (yield)
        finally:
            self._is_testing = False

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Do not even import a module whose tests are all slow: torch alone takes seconds."""
        is_test = collection_path.suffix == ".py" and collection_path.name.startswith("test_")
        return (
            True if is_test and "\npytestmark = pytest.mark.slow\n" in collection_path.read_text() else None
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what needs a service or is marked as slow."""
        fast = [item for item in items if is_fast(item)]
        config.hook.pytest_deselected(items=[item for item in items if not is_fast(item)])
        items[:] = fast


def is_fast(item: pytest.Item) -> bool:
    """Whether a test needs no service, as far as its fixtures tell, and is not marked as slow."""
    return SERVICES.isdisjoint(getattr(item, "fixturenames", ())) and item.get_closest_marker("slow") is None
