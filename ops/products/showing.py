"""`storepulse products show`: one product as the state has it."""

import asyncio

import orjson
from redis.exceptions import RedisError
from rich.console import Console

from api.resources.products.facts import to_product
from connections.asyncio_redis import open_redis_pool
from contracts.fields import InvalidEvent, identifier
from contracts.products import KnownProduct
from contracts.settings import Settings
from readers.catalogue import read_product
from readers.reader import Reader


def run_show(settings: Settings, product_id: str) -> int:
    """Print the facts of a product; the exit code is 1 if nothing is known of it."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        known = asyncio.run(_read(settings, identifier("product_id", product_id)))
    except InvalidEvent as exc:
        console.print(exc.detail, markup=False)
        return 1
    except RedisError as exc:
        console.print(f"Redis does not answer: {exc}\n`storepulse up` starts a stack.", markup=False)
        return 1
    if known is None:
        console.print("nothing is known of this product, or it was removed")
        return 1
    fields = to_product(product_id, known).model_dump(mode="json", by_alias=True)
    console.out(orjson.dumps(fields, option=orjson.OPT_INDENT_2).decode(), highlight=False)
    return 0


async def _read(settings: Settings, product_id: str) -> KnownProduct | None:
    redis = open_redis_pool(settings)
    try:
        return await read_product(Reader(redis, settings), product_id)
    finally:
        await redis.aclose()
