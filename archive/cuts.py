"""Deleted visitors in frames of an archive: finding their rows, and taking them out."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from contracts.deletions import digest_user
from contracts.fields import MAX_ID_CHARS
from sources.archive.manifest import EVENTS

Cuts = Mapping[str, int]
"""Digests of deleted visitors to the ms up to which nothing of them is kept."""
FEWEST_CHARS = 8
"""A shorter id, or one of digits alone, is part of many texts: it is looked for only where ids stand."""

_IDS = ("visitor_id", "user_id")
_NAMES = ("session_id", "order_id")
_TEXT = "extra"
_WORDS = (re.compile(r"[\w.@:+-]+"), re.compile(r"[\w-]+"))
_AROUND = ".:+-@"
"""Ends of sentences and the like, which are no part of a word."""
_QUOTED = re.compile(r'"((?:[^"\\]|\\.){1,400})"')
_REMEMBERED_WORDS = 100_000
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")


def columns_needed(dataset: str) -> list[str]:
    """Columns by which `find_deleted` finds rows."""
    if dataset == EVENTS:
        return [*_IDS, *_NAMES, _TEXT, "event_time", "kafka_time"]
    return ["key", "value", "kafka_time"]


def find_deleted(frame: pl.DataFrame, dataset: str, cuts: Cuts, secret: str) -> pl.Series:
    """The digest of the deleted visitor whom each row is about, from before their cut; null for the others.

    A row is about whoever acted or was logged in, and about whom its session, its order or a field that the
    contract does not know names, as a word or as a whole text. It is from before the cut if it happened or
    arrived by then, as in the stream.
    """
    if dataset == EVENTS:
        at_ms = frame.select(pl.min_horizontal("event_time", "kafka_time").dt.epoch("ms")).to_series()
        digests = [
            *[_by_id(frame[name], cuts, secret) for name in _IDS],
            *[_by_id(frame[name], cuts, secret, only_distinctive=True) for name in _NAMES],
            _by_words(frame[_TEXT], cuts, secret),
        ]
    else:
        at_ms = frame["kafka_time"].dt.epoch("ms")
        key, value = (_as_text(frame[name]) for name in ("key", "value"))
        digests = [_by_id(key, cuts, secret), _by_words(value, cuts, secret)]
    in_time = [pl.when(at_ms <= _look_up(each, cuts, pl.Int64)).then(each) for each in digests]
    return frame.select(pl.coalesce(in_time).alias("digest")).to_series()


def _by_id(ids: pl.Series, cuts: Cuts, secret: str, *, only_distinctive: bool = False) -> pl.Series:
    """The digest of the deleted visitor whose id each value is."""
    known = {
        id_: digest
        for id_ in ids.unique().drop_nulls()
        if (not only_distinctive or _is_distinctive(id_)) and (digest := digest_user(id_, secret)) in cuts
    }
    return _look_up(ids, known, pl.String)


def _by_words(texts: pl.Series, cuts: Cuts, secret: str) -> pl.Series:
    """The digest of the deleted visitor whose distinctive id each text names; of several the latest one."""
    digests: dict[str, str | None] = {}

    def digest_of(word: str) -> str | None:
        if word not in digests:
            if len(digests) > _REMEMBERED_WORDS:
                digests.clear()
            digest = digest_user(word, secret)
            digests[word] = digest if digest in cuts else None
        return digests[word]

    known = {}
    for text in texts.unique().drop_nulls():
        found = [digest for word in _words(text) if (digest := digest_of(word)) is not None]
        if found:
            known[text] = max(found, key=cuts.__getitem__)
    return _look_up(texts, known, pl.String)


def _is_distinctive(word: str) -> bool:
    return FEWEST_CHARS <= len(word) <= MAX_ID_CHARS and not word.isdecimal()


def _words(text: str) -> Iterable[str]:
    """What may be a distinctive id in a text, which may be JSON."""
    whole = {text, *(_unescape(quoted) for quoted in _QUOTED.findall(text))}
    words = {word for each in whole for pattern in _WORDS for word in pattern.findall(each)}
    return filter(_is_distinctive, whole | words | {word.strip(_AROUND) for word in words})


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def _as_text(column: pl.Series) -> pl.Series:
    values = [None if each is None else each.decode("utf-8", "replace") for each in column]
    return pl.Series(column.name, values, pl.String)


def _look_up(values: pl.Series, known: Mapping[str, Any], kind: type[pl.DataType]) -> pl.Series:
    if not known:
        return pl.repeat(None, len(values), dtype=kind, eager=True)
    return values.replace_strict(list(known), list(known.values()), default=None, return_dtype=kind)
