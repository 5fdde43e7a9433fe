"""A client of the alert stream that behaves as a browser's `EventSource` does, only more impatient."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp


class Message(NamedTuple):
    """One event of a stream."""

    event: str
    event_id: str | None
    data: Any


async def read_messages(response: aiohttp.ClientResponse) -> AsyncIterator[Message]:
    """The blocks of a stream until it ends; comments are dropped, one that is cut off too."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if fields.keys() - {""}:
            data = json.loads(fields["data"]) if "data" in fields else None
            yield Message(fields.get("event", "message"), fields.get("id"), data)
        fields = {}


class SseClient:
    """Follows a stream and comes again with the last id when it ends; keeps what it heard."""

    def __init__(self, session: aiohttp.ClientSession, url: str, last_id: str | None = None) -> None:
        self._session = session
        self._url = url
        self.last_id = last_id
        self.record_ids: list[str] = []
        self.resets: list[Any] = []
        self.n_opened = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await self._follow()
            await asyncio.sleep(0.05)

    async def _follow(self) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with self._session.get(self._url, headers=headers) as response:
            if response.status != 200:
                return
            self.n_opened += 1
            async for message in read_messages(response):
                if message.event == "alert":
                    self.record_ids.append(message.data["record_id"])
                elif message.event == "reset":
                    self.resets.append(message.data)
                if message.event_id is not None:
                    self.last_id = message.event_id
