"""Keys for tests: the root key of an installation, and keys made in its Redis."""

from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis

from api.identity.key_store import KeyPlan, KeyStore
from api.identity.key_text import KeyKind, KeyText
from api.identity.principal import Scope
from api.services import services_of
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings

ROOT_KEY = "root-key-of-a-test-" + "0123456789abcdef"
SHOP = "https://shop.example"


def bearer(key: object) -> dict[str, str]:
    """The header that presents a key."""
    return {"Authorization": f"Bearer {key}"}


AS_ROOT = bearer(ROOT_KEY)


async def make_secret_key(redis: Redis, settings: Settings, *scopes: Scope, **fields: Any) -> KeyText:
    """A secret key with these scopes; `fields` are further ones of `KeyPlan`."""
    return await make_key(redis, settings, KeyPlan("a server", scopes=scopes, **fields))


async def make_page_key(redis: Redis, settings: Settings, **fields: Any) -> KeyText:
    """A publishable key bound to `SHOP`, without purchases; `fields` are further ones of `KeyPlan`."""
    plan: dict[str, Any] = {"kind": KeyKind.PUBLISHABLE, "origins": (SHOP,), "may_purchase": False} | fields
    return await make_key(redis, settings, KeyPlan("a page", **plan))


async def make_key(redis: Redis, settings: Settings, plan: KeyPlan) -> KeyText:
    """A key made as `storepulse keys create` makes it."""
    store = KeyStore(redis, Keys(settings.namespace, settings.partitions))
    key, _ = await store.create(plan, wall_clock_ms())
    return key


def look_again(app: FastAPI) -> None:
    """Has the application read the keys anew with the next request, as it does after a second."""
    key_cache = services_of(app).access.key_cache
    key_cache._loaded_s = key_cache._tried_s = float("-inf")


def let_age(app: FastAPI, age_s: float) -> None:
    """Makes what the application knows of the keys so much older."""
    key_cache = services_of(app).access.key_cache
    key_cache._loaded_s -= age_s
    key_cache._tried_s -= age_s
