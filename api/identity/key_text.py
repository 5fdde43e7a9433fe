"""The text of an API key: its kind, id and secret, such as `sk_live_<id>_<secret>`."""

import hashlib
import re
import secrets
import string
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

_ID_ALPHABET = string.ascii_lowercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS = 12
_SECRET_CHARS = 43
"""Of 62 letters and digits: 256 bits. So random a secret needs no slow hash."""


class KeyKind(StrEnum):
    """Who bears a key, and with it where it may be and from where it may come. `prefix` begins its text."""

    prefix: str

    def __new__(cls, value: str, prefix: str) -> "KeyKind":
        """A member with its prefix."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.prefix = prefix
        return member

    PUBLISHABLE = "publishable", "pk"
    """In pages, where anybody can read it; only from the origins it lists."""
    APP = "app", "ak"
    """In apps, from which anybody can take it; never from a page."""
    WRITE = "write", "wk"
    """On servers whose library puts it into a URL or a body; never from a page."""
    SECRET = "secret", "sk"
    """On servers, in a header."""

    @property
    def is_exposed(self) -> bool:
        """Whether others may come to read it, so that it must not be able to do more than send events.

        Keys of pages and apps may also ask for recommendations, if they were made for it.
        """
        return self is not KeyKind.SECRET


_BY_PREFIX = {kind.prefix: kind for kind in KeyKind}
_KEY = re.compile(
    rf"({'|'.join(_BY_PREFIX)})_live_([a-z0-9]{{{_ID_CHARS}}})_([0-9A-Za-z]{{{_SECRET_CHARS}}})", re.ASCII
)
_NAME = re.compile(rf"(?:(?:{'|'.join(_BY_PREFIX)})_live_)?([a-z0-9]{{{_ID_CHARS}}})", re.ASCII)


class KeyText(NamedTuple):
    """A key as its bearer has it. Nothing but the bearer keeps the secret."""

    kind: KeyKind
    key_id: str
    secret: str

    def __str__(self) -> str:
        return f"{key_name(self.kind, self.key_id)}_{self.secret}"

    def __repr__(self) -> str:
        return f"<key {self.key_id}>"


def make_key(kind: KeyKind) -> KeyText:
    """A key nobody has had before."""
    return KeyText(kind, _draw(_ID_ALPHABET, _ID_CHARS), make_secret())


def make_secret() -> str:
    """The part of a key that only its bearer knows."""
    return _draw(_SECRET_ALPHABET, _SECRET_CHARS)


def parse_key(text: str) -> KeyText | None:
    """The parts of a key; None for any other text."""
    match = _KEY.fullmatch(text)
    return None if match is None else KeyText(_BY_PREFIX[match[1]], match[2], match[3])


def holds_key(url_part: str) -> bool:
    """Whether there is a key somewhere in a path or query, percent-encoded or not."""
    return "_live_" in unquote(url_part) and _KEY.search(unquote(url_part)) is not None


def key_name(kind: KeyKind, key_id: str) -> str:
    """The part of a key that may be shown."""
    return f"{kind.prefix}_live_{key_id}"


def parse_name(text: str) -> str | None:
    """The id in the part of a key that may be shown, or the id alone; None for any other text."""
    match = _NAME.fullmatch(text)
    return None if match is None else match[1]


def digest(secret: str) -> str:
    """What is stored of a secret: its SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _draw(alphabet: str, n_chars: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(n_chars))
