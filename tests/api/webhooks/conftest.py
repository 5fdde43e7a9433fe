"""A site of webhooks on real Redis."""

from collections.abc import AsyncIterator

import pytest

from contracts.settings import Settings
from receivers import Receiver, open_receiver, say
from shop_state import ShopState
from webhook_site import Site


@pytest.fixture
async def site(settings: Settings, state: ShopState) -> AsyncIterator[Site]:
    """Webhooks with state of their own."""
    site = Site(settings, state)
    yield site
    await site.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with open_receiver(say(200)) as receiver:
        yield receiver
