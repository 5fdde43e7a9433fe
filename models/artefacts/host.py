"""The host of a model: loads it, takes up newer versions, refuses bad ones, and asks it in a thread.

The same for a worker and for the API, and for every kind of model.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, Protocol, TypeVar

from models.artefacts.source import ModelSource

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
SETTLE_S = 0.5
"""Whoever is copying files may not be done: a change counts once nothing more has changed for so long."""


class Versioned(Protocol):
    """A loaded model of any kind."""

    @property
    def version(self) -> str: ...


M = TypeVar("M", bound=Versioned)
R = TypeVar("R")
P = ParamSpec("P")


class ModelHost(Generic[M]):
    """Holds the newest model of a source that passed its checks; `name` is for the log.

    Loading happens in a thread of its own, so that neither the event loop nor a call of the model that never
    ends holds it up. Calls are made one at a time. `on_refusal` is called for every model refused.
    """

    def __init__(
        self, name: str, source: ModelSource[M], on_refusal: Callable[[], None] = lambda: None
    ) -> None:
        self.name = name
        self._source = source
        self._on_refusal = on_refusal
        self._thread = self._new_thread()
        self._stamp: object = self  # unlike any
        self._looking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self.model: M | None = None
        self.refusal: Exception | None = None
        """Why a newer model is not used, if it was refused; the one before goes on answering."""
        self.has_looked = asyncio.Event()
        """Whether a first model was loaded, or refused."""

    @property
    def version(self) -> str:
        """That of the model; empty for none."""
        return "" if self.model is None else self.model.version

    def start(self, after: Callable[[], Awaitable[None]] | None = None) -> None:
        """Begin to load the model, once `after` is over, and to look for newer ones, until `stop`."""
        self._watching = asyncio.create_task(self._begin(after))

    async def stop(self) -> None:
        """End the looking, and the thread; a call under way is not waited for."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self.close()

    async def watch(self, every_s: float = LOOK_EVERY_S) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every_s)

    async def look(self) -> None:
        """Load what the source has if that changed since the last look."""
        async with self._looking:
            await self._look()

    def take_up(self, model: M) -> None:
        """Ask this model from now on; whatever was wrong with the one before is over."""
        # Its thread may be in a call that never ends. Calls behind it are not cancelled: someone awaits them.
        self._thread.shutdown(wait=False)
        self._thread = self._new_thread()
        self.model, self.refusal = model, None
        log.info("%s is predicted by model %s", self.name, model.version)

    def let_go(self) -> None:
        """Ask no model any longer, until the source has one."""
        self.model, self.refusal, self._stamp = None, None, self

    def begin(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[R]":
        """A call of the model in its thread, after the calls before it."""
        return asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args, **kwargs))

    def close(self) -> None:
        """Let the thread end; a call under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _begin(self, after: Callable[[], Awaitable[None]] | None) -> None:
        if after is not None:
            await after()
        await self.watch()

    async def _look(self) -> None:
        stamp = await asyncio.to_thread(self._source.stamp)
        if stamp == self._stamp:
            return
        if self.has_looked.is_set():
            await asyncio.sleep(SETTLE_S)
            if await asyncio.to_thread(self._source.stamp) != stamp:
                return
        self._stamp = stamp
        try:
            self.take_up(await asyncio.to_thread(self._source.load))
        except Exception as exc:  # whatever there is, the process goes on with what it has
            self.refusal = exc
            self._on_refusal()
            instead = "the previous one stays in use" if self.model is not None else "nothing is predicted"
            said = str(exc) if isinstance(exc, ValueError) else repr(exc)
            log.error("the model of %s is rejected, %s: %s", self.name, instead, said)
        finally:
            self.has_looked.set()

    def _new_thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"model {self.name}")


async def wait_for_answer(call: "asyncio.Future[R]", limit_s: float) -> R:
    """The answer of a call within `limit_s`; raises `TimeoutError`, or what the model raised.

    A call that is given up goes on in its thread; what comes of it is taken and dropped.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.shield(call)
    except TimeoutError:
        call.add_done_callback(_drop)
        raise


def _drop(call: "asyncio.Future[R]") -> None:
    if not call.cancelled():
        call.exception()  # taken, so that it is not reported as lost
