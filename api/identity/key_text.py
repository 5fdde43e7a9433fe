"""The text of an API key: `pk_live_<id>_<secret>` for pages, `sk_live_<id>_<secret>` for servers."""

import hashlib
import re
import secrets
import string
from typing import NamedTuple
from urllib.parse import unquote

_ID_ALPHABET = string.ascii_lowercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS = 12
_SECRET_CHARS = 43
"""Of 62 letters and digits: 256 bits. So random a secret needs no slow hash."""
_KEY = re.compile(rf"(pk|sk)_live_([a-z0-9]{{{_ID_CHARS}}})_([0-9A-Za-z]{{{_SECRET_CHARS}}})", re.ASCII)


class KeyText(NamedTuple):
    """A key as its bearer has it. Nothing but the bearer keeps the secret."""

    is_publishable: bool
    key_id: str
    secret: str

    def __str__(self) -> str:
        return f"{key_name(self.key_id, is_publishable=self.is_publishable)}_{self.secret}"

    def __repr__(self) -> str:
        return f"<key {self.key_id}>"


def make_key(*, is_publishable: bool) -> KeyText:
    """A key nobody has had before."""
    return KeyText(is_publishable, _draw(_ID_ALPHABET, _ID_CHARS), make_secret())


def make_secret() -> str:
    """The part of a key that only its bearer knows."""
    return _draw(_SECRET_ALPHABET, _SECRET_CHARS)


def parse_key(text: str) -> KeyText | None:
    """The parts of a key; None for any other text."""
    match = _KEY.fullmatch(text)
    return None if match is None else KeyText(match[1] == "pk", match[2], match[3])


def holds_key(url_part: str) -> bool:
    """Whether there is a key somewhere in a path or query, percent-encoded or not."""
    return "_live_" in unquote(url_part) and _KEY.search(unquote(url_part)) is not None


def key_name(key_id: str, *, is_publishable: bool) -> str:
    """The part of a key that may be shown."""
    return f"{'pk' if is_publishable else 'sk'}_live_{key_id}"


def digest(secret: str) -> str:
    """What is stored of a secret: its SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _draw(alphabet: str, n_chars: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(n_chars))
