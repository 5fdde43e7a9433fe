"""A site of webhooks on real Redis."""

from collections.abc import AsyncIterator

import pytest

from contracts.settings import Settings
from shop_state import ShopState
from webhook_site import Site


@pytest.fixture
async def site(settings: Settings, state: ShopState) -> AsyncIterator[Site]:
    """Webhooks with state of their own."""
    site = Site(settings, state)
    yield site
    await site.close()
