"""Commands of concurrent requests over one connection: to each his own reply, and his own error."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ops.stack.redis_server import RedisServer
from readers.shared_pipeline import MAX_TOGETHER, SharedPipeline


@pytest.fixture
async def redis(private_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(private_redis.url, socket_connect_timeout=1.0) as redis:
        yield redis


async def test_everyone_gets_their_own_reply(redis: Redis) -> None:
    ask = SharedPipeline(redis).ask
    n = 2 * MAX_TOGETHER + 17
    await asyncio.gather(*[ask("SET", f"k{i}", i) for i in range(n)])
    assert await asyncio.gather(*[ask("GET", f"k{i}") for i in range(n)]) == [b"%d" % i for i in range(n)]


async def test_replies_are_parsed_as_those_of_the_client(redis: Redis) -> None:
    pipeline = SharedPipeline(redis)
    await redis.xadd("log", {"value": "x"}, id="1-1")
    await redis.zadd("ranks", {"a": 1.5})
    assert await pipeline.ask("XRANGE", "log", "-", "+") == await redis.xrange("log")
    assert await pipeline.ask("ZMSCORE", "ranks", "a", "b") == await redis.zmscore("ranks", ["a", "b"])


async def test_a_name_in_bytes_gives_the_reply_as_it_came(redis: Redis) -> None:
    await redis.xadd("log", {"value": "x"}, id="1-1")
    assert await SharedPipeline(redis).ask(b"XRANGE", "log", "-", "+") == [[b"1-1", [b"value", b"x"]]]


async def test_commands_asked_at_the_same_time_share_one_connection(redis: Redis) -> None:
    ask = SharedPipeline(redis).ask
    before = await connections_made(redis)
    await asyncio.gather(*[ask("GET", "k") for _ in range(200)])
    assert await connections_made(redis) <= before + 1


async def connections_made(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_connections_received"])


async def test_an_error_is_told_to_its_asker_alone(redis: Redis) -> None:
    ask = SharedPipeline(redis).ask
    await redis.set("text", "x")
    asked = ask("GET", "text"), ask("INCR", "text"), ask("GET", "text")
    replies = await asyncio.gather(*asked, return_exceptions=True)
    assert replies[0] == replies[2] == b"x"
    assert isinstance(replies[1], ResponseError)


@pytest.mark.parametrize(("argument", "error"), [("\ud800", UnicodeEncodeError), (None, DataError)])
async def test_what_cannot_be_sent_disturbs_nobody(
    redis: Redis, argument: str | None, error: type[Exception]
) -> None:
    ask = SharedPipeline(redis).ask
    good = ask("PING")
    with pytest.raises(error):
        ask("GET", argument)
    assert await good is True


async def test_who_gives_up_disturbs_nobody(redis: Redis) -> None:
    ask = SharedPipeline(redis).ask
    replies = [asyncio.ensure_future(ask("ECHO", str(i))) for i in range(9)]
    replies[4].cancel()
    rest = await asyncio.gather(*replies, return_exceptions=True)
    assert isinstance(rest.pop(4), asyncio.CancelledError)
    assert rest == [b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"8"]


async def test_without_redis_all_are_told_and_later_ones_are_served_again(private_redis: RedisServer) -> None:
    async with Redis.from_url(private_redis.url, socket_connect_timeout=1.0) as redis:
        ask = SharedPipeline(redis).ask
        await ask("PING")
        private_redis.kill()
        found = await asyncio.gather(
            *[ask("GET", "k") for _ in range(MAX_TOGETHER + 9)], return_exceptions=True
        )
        assert {type(one) for one in found} == {RedisConnectionError}
        private_redis.start()
        assert await ask("PING") is True


@pytest.mark.slow
async def test_nobody_waits_behind_those_whom_redis_left_without_an_answer() -> None:
    """Else each round trip that hangs would add its timeout to the next one's."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, Redis(port=port, socket_timeout=0.3) as redis:
        ask = SharedPipeline(redis).ask
        first = asyncio.ensure_future(ask("GET", "k"))
        await asyncio.sleep(0.1)
        behind = [asyncio.ensure_future(ask("GET", "k")) for _ in range(3)]
        await asyncio.wait([first])
        assert [type(one.exception()) for one in (first, *behind)] == [RedisTimeoutError] * 4
