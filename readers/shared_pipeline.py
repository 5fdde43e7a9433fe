"""Commands of requests that are served at the same time, sent to Redis together."""

import asyncio
import builtins
import math
from collections import deque
from collections.abc import Awaitable
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError, TimeoutError

MAX_TOGETHER = 256
"""Commands in one round trip at most, so that a burst does not make one long answer of Redis."""


class _Question(NamedTuple):
    command: tuple[Any, ...]
    reply: asyncio.Future[Any]


class SharedPipeline:
    """One round trip at a time for all who ask meanwhile.

    A command of its own costs the client far more than it costs Redis: a connection out of the pool, a
    packet, a timeout, a turn of the event loop. Commands that are asked for while a round trip is under way
    gather for the next one, so the busier the process, the less each costs. Every reply goes to its asker
    alone; an error of one command is no other's. They are not a transaction, and a command must not block.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        # redis-py gives no type for it. Encoding here keeps what cannot be sent from failing the others.
        self._encode = redis.get_encoder().encode  # type: ignore[no-untyped-call]
        self._parsers: Any = redis.response_callbacks
        self._asked: deque[_Question] = deque()
        self._sending: asyncio.Task[None] | None = None

    def ask(self, name: str | bytes, *args: Any) -> Awaitable[Any]:
        """The reply to a command, as redis-py parses it; raises `redis.RedisError`.

        With the name as bytes the reply comes as Redis gives it: redis-py knows its parsers by text. That is
        cheaper, and the same for most commands.

        Arguments that cannot be sent raise here, what `redis.DataError` and `str.encode` raise.
        """
        loop = asyncio.get_running_loop()
        sent = [arg.encode() if type(arg) is str else self._encode(arg) for arg in args]
        question = _Question((name, *sent), loop.create_future())
        self._asked.append(question)
        if self._sending is None:
            self._sending = loop.create_task(self._send())
        return question.reply

    async def _send(self) -> None:
        under_way: list[_Question] = []
        try:
            while self._asked:
                under_way = [self._asked.popleft() for _ in range(min(len(self._asked), MAX_TOGETHER))]
                await self._exchange(under_way)
        except Exception as exc:  # whoever waits behind would be told the same, only later
            for question in (*under_way, *self._asked):
                _answer(question, exc)
        finally:  # anything is left only if the event loop ends
            for question in (*under_way, *self._asked):
                question.reply.cancel()
            self._asked.clear()
            self._sending = None

    async def _exchange(self, questions: list[_Question]) -> None:
        """One round trip, as a pipeline of redis-py makes it in twice the time."""
        pool: Any = self._redis.connection_pool
        connection = await pool.get_connection()
        try:
            replies = await connection.retry.call_with_retry(
                lambda: self._converse(connection, questions), lambda _: connection.disconnect()
            )
        finally:
            await pool.release(connection)
        for question, reply in zip(questions, replies, strict=True):
            _answer(question, reply)

    async def _converse(self, connection: Any, questions: list[_Question]) -> list[Any]:
        await connection.send_packed_command(
            connection.pack_commands([question.command for question in questions])
        )
        try:
            # One limit for all: one for each reply costs as much as the reply.
            async with asyncio.timeout(connection.socket_timeout):
                return [await self._read(connection, question.command[0]) for question in questions]
        except builtins.TimeoutError:
            raise TimeoutError("Timeout reading from socket") from None

    async def _read(self, connection: Any, name: str | bytes) -> Any:
        try:
            reply = await connection.read_response(timeout=math.inf)
        except ResponseError as exc:
            return exc
        parse = self._parsers.get(name) if type(name) is str else None
        return reply if parse is None else parse(reply)


def _answer(question: _Question, reply: Any) -> None:
    if question.reply.done():  # nobody waits for it any more
        return
    if isinstance(reply, Exception):
        question.reply.set_exception(reply)
    else:
        question.reply.set_result(reply)
