"""Whether keys are needed, and whose a key is."""

import hashlib
import hmac
from http import HTTPStatus

from redis.asyncio import Redis

from api.http.errors import Problem
from api.identity.blocked_origins import BlockedOrigins
from api.identity.credentials import unauthorized
from api.identity.key_cache import KeyCache
from api.identity.key_record import KeyRecord, takes_secret, to_principal
from api.identity.key_store import KeyStore
from api.identity.key_text import KeyKind, KeyText, parse_key
from api.identity.origins import OriginList, is_local_host, is_loopback, is_own_origin
from api.identity.principal import Limits, Principal, Scope
from api.identity.quotas import Quotas
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_ROOT = Principal("root", "root", frozenset(Scope), is_publishable=False)


def needs_keys_anyway(settings: Settings) -> bool:
    """Whether an API with these settings asks for keys though none was ever made."""
    return settings.root_key is not None or not is_loopback(settings.api_host)


class Access:
    """Who may do what in one process. Raises `Problem` 503 where Redis is away and what is known too old."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        keys = Keys(settings.namespace, settings.partitions)
        self.key_cache = KeyCache(KeyStore(redis, keys))
        self.quotas = Quotas(redis, keys)
        self._defaults = Limits(
            settings.key_requests_per_s, settings.key_events_per_minute, settings.key_events_per_day
        )
        root = settings.root_key
        self._root_digest = None if root is None else _fingerprint(root.get_secret_value())
        self._always_closed = needs_keys_anyway(settings)
        self.blocked_origins = BlockedOrigins()
        self._open_to = OriginList(settings.allowed_origins.split(","))

    async def needs_key(self) -> bool:
        """False only on loopback, without a root key, and where no key was ever made."""
        return self._always_closed or bool(await self.key_cache.read())

    async def recognise(self, presented: str, origin: str | None) -> Principal:
        """Whose key this is, sent by a page of this origin, if by a page.

        Raises `Problem` 401, the same for an unknown id and a wrong secret, or 403 for a publishable key in a
        page that it is not bound to, and for a key of apps or servers in any page.
        """
        if self._root_digest is not None and hmac.compare_digest(_fingerprint(presented), self._root_digest):
            return _ROOT
        now_ms = wall_clock_ms()
        record = await self._find(presented, now_ms)
        state = record.state(now_ms)
        if state != "active":
            raise unauthorized(f"key.{state}", f"this key is {state}; create a new one")
        _check_origin(record, origin)
        self.key_cache.note_use(record.key_id, now_ms)
        return to_principal(record, self._defaults)

    def check_local(self, method: str, host: str, origin: str | None) -> None:
        """Raises `Problem` 403 for what a page of elsewhere has its reader's browser send to an open API."""
        if not is_local_host(host):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "host.not_local",
                "without keys the API only accepts requests to localhost, 127.0.0.1 or [::1]; "
                "to use another name, create a key: storepulse keys create",
            )
        if method in _SAFE_METHODS or origin is None or is_own_origin(origin, host):
            return
        if origin not in self._open_to:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "origin.not_allowed",
                "a page of another origin sent this; STOREPULSE_ALLOWED_ORIGINS lists the allowed origins",
            )

    async def welcomes(self, origin: str) -> bool:
        """Whether pages of this origin may send events and read the answers."""
        if await self.key_cache.welcomes(origin.lower(), wall_clock_ms()):
            return True
        return not self._needs_keys_now and origin in self._open_to

    def report_blocked(self, origin: str, host: str) -> None:
        """Says of a page of another origin, which `welcomes` refused, why; `host` is what it asked."""
        if not is_own_origin(origin, host):
            self.blocked_origins.report(origin, needs_keys=self._needs_keys_now)

    async def still_counts(self, key_id: str) -> bool:
        """Whether whoever opened a stream may go on: keys are revoked, and made where there were none."""
        if not key_id:
            return not await self.needs_key()
        if key_id == "root":
            return True
        record = (await self.key_cache.read()).get(key_id)
        return record is not None and record.state(wall_clock_ms()) == "active"

    @property
    def _needs_keys_now(self) -> bool:
        """As far as is known without asking Redis."""
        return self._always_closed or self.key_cache.has_keys

    async def _find(self, presented: str, now_ms: int) -> KeyRecord:
        key = parse_key(presented) or KeyText(KeyKind.SECRET, key_id="", secret=presented)
        for read in (self.key_cache.read, self.key_cache.read_again):  # it may be newer than what we know
            record = (await read()).get(key.key_id)
            fits = takes_secret(record, key.secret, now_ms)
            if record is not None and fits and record.kind is key.kind:
                return record
        raise unauthorized("key.unknown", "this key is unknown; `storepulse keys list` shows all keys")


def _check_origin(record: KeyRecord, origin: str | None) -> None:
    """A browser says from which page a request comes, and nobody else does."""
    if record.kind is KeyKind.PUBLISHABLE:
        if origin is None or origin.lower() not in record.origins:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "key.origin",
                "this publishable key does not list the origin of the page that sent this",
            )
    elif record.kind is not KeyKind.SECRET and origin is not None:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "key.origin",
            f"keys of the kind {record.kind} cannot be used in pages: pages need a publishable key",
        )


def _fingerprint(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
