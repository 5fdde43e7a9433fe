"""Both implementations of the hot steps, each of which must pass the same tests."""

import pytest

from cores import NAMES, core_named
from stream.batch.core import Core


@pytest.fixture(scope="module", params=NAMES)
def core(request: pytest.FixtureRequest) -> Core:
    """The steps in Python and those compiled, one after the other."""
    return core_named(request.param)
