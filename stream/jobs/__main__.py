"""The process that runs jobs: asks come in on stdin, answers go out on stdout, both as MessagePack.

The first message is `[settings, functions]`: what they need is imported before the answer, which is None.
An ask is `[function, subject, made_ms, as_json]`, its answer `[ok, value or error text, JSON of the
value]`; the value is packed MessagePack, None where the job gave none. It runs with low priority, so that
it takes what the worker leaves of the processor, and ends with its stdin.
"""

import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from importlib import import_module
from operator import attrgetter
from typing import Any, BinaryIO

import msgpack
import orjson

from connections.redis import open_redis
from contracts.extensions import load_contracts
from contracts.keys import Keys
from contracts.priority import lower_priority
from contracts.settings import Settings
from contracts.subjects import parse_subject
from stream.jobs.job import JobContext

START_NICENESS = 10
RUN_NICENESS = 19
"""Imports must come to an end on a machine that is busy for long; runs may wait, as their lag shows."""
READ_BYTES = 65_536

_pack = msgpack.Packer(use_bin_type=True).pack
_pack_value = msgpack.Packer(use_bin_type=True).pack


def main() -> None:
    """Answer until stdin ends."""
    lower_priority(START_NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a job prints is no answer
    asks = msgpack.Unpacker(max_buffer_size=0, strict_map_key=False)
    first = _next(asks, sys.stdin.buffer)
    if first is None:
        return
    fields, functions = first
    settings = Settings.model_validate(fields)
    load_contracts(settings)
    for function in functions:
        with suppress(Exception):  # said when the job is to run
            _find(function)
    lower_priority(RUN_NICENESS)
    answers.write(_pack(None))
    keys = Keys(settings.namespace, settings.partitions)
    with closing(open_redis(settings)) as client:
        while (ask := _next(asks, sys.stdin.buffer)) is not None:
            function, subject, made_ms, as_json = ask
            context = JobContext(client, keys, settings, made_ms)
            answers.write(_pack(_answer(function, subject, context, as_json=as_json)))


def _next(asks: msgpack.Unpacker, stdin: BinaryIO) -> Any:
    """The next message; None at the end of the input."""
    while True:
        try:
            return asks.unpack()
        except msgpack.OutOfData:
            read = os.read(stdin.fileno(), READ_BYTES)
            if not read:
                return None
            asks.feed(read)


def _answer(function: str, subject: str, context: JobContext, *, as_json: bool) -> tuple[Any, ...]:
    try:
        value = _find(function)(context, parse_subject(subject))
        if value is None:
            return True, None, None
        return True, _pack_value(value), orjson.dumps(value) if as_json else None
    except Exception as exc:  # whatever a job raises is its failure, and not the end of the others
        return False, f"{type(exc).__name__}: {exc}"[:1_000], None


def _find(function: str) -> Callable[[JobContext, Any], Any]:
    module, _, name = function.partition(":")
    found: Callable[[JobContext, Any], Any] = attrgetter(name)(import_module(module))
    return found


if __name__ == "__main__":
    main()
