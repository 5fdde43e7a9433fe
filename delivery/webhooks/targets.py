"""Targets: the URLs that may be registered, parsed so strictly that nobody reads them otherwise."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

from contracts.settings import Settings
from delivery.webhooks.addresses import is_loopback, is_public, is_unicast

MAX_URL_LENGTH = 2_000
_PLAIN = re.compile(r"[!-~]+", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PRIVATE_SUFFIXES = tuple(
    f".{name}"
    for name in ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion")
)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_INSIDE = frozenset(("url.scheme", "url.private_host", "url.private_address", "url.blocked_host"))
FOR_DEVELOPMENT = (
    "; for development, start API and deliverer with STOREPULSE_WEBHOOK_ALLOW_PRIVATE=true (environment or "
    ".env): it allows private addresses, and http to this machine"
)
"""What a refusal adds where the setting would let the URL in."""


class UnsafeTarget(ValueError):
    """A URL or an address that must not be asked; `code` is `url.rule` and stable."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"url {detail}")
        self.code = f"url.{rule}"
        self.detail = f"url {detail}"


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What may be reached. `allow_private`, for development: any port, private hosts, http to loopback."""

    ports: frozenset[int] = frozenset((443, 8443))
    blocked_hosts: frozenset[str] = frozenset()
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host` is a lower-case name or an address without brackets."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def is_address(self) -> bool:
        """Whether the host is an address, not a name."""
        return ":" in self.host or _NUMBER.fullmatch(self.host.rpartition(".")[2]) is not None


def target_rules_of(settings: Settings) -> TargetRules:
    """The rules by these settings; the hosts of our own services are blocked."""
    own = [settings.api_host, settings.worker_host, settings.deliver_host]
    own += [host_port.rpartition(":")[0] for host_port in settings.bootstrap.split(",")]
    own += [urlsplit(settings.redis_url).hostname or ""]
    own += settings.webhook_blocked_hosts.split(",")
    return TargetRules(
        frozenset(int(port) for port in settings.webhook_ports.split(",")),
        frozenset(host.strip().strip("[]").rstrip(".").lower() for host in own) - {""},
        settings.webhook_allow_private,
    )


def parse_target(url: str, rules: TargetRules) -> Target:
    """The target, if its URL may be registered; raises `UnsafeTarget`. Names are not resolved here."""
    try:
        return _parse(url, rules)
    except UnsafeTarget as exc:
        if exc.code in _INSIDE and not rules.allow_private and _is_for_development(url):
            exc.detail += FOR_DEVELOPMENT
        raise


def _is_for_development(url: str) -> bool:
    """Whether it leads to this machine or a private address, and may where these are allowed."""
    try:
        target = _parse(url, TargetRules(allow_private=True))
    except UnsafeTarget:
        return False
    if target.is_address:
        return not is_public(target.host)
    is_here = target.host == "localhost" or target.host.endswith(".localhost")
    return is_here or (target.scheme == "https" and _is_private_name(target.host))


def _is_private_name(host: str) -> bool:
    return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _parse(url: str, rules: TargetRules) -> Target:
    if len(url) > MAX_URL_LENGTH:
        raise UnsafeTarget("too_long", f"must have at most {MAX_URL_LENGTH} characters")
    scheme = url.partition(":")[0].lower()
    if scheme not in (("https", "http") if rules.allow_private else ("https",)):
        raise UnsafeTarget("scheme", "must begin with https://")
    if not _PLAIN.fullmatch(url) or "\\" in url or not url[len(scheme) :].startswith("://"):
        raise UnsafeTarget("malformed", "must be ASCII without spaces; names and paths in their encoded form")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsafeTarget("malformed", "has no valid host and port") from None
    if "@" in parts.netloc:
        raise UnsafeTarget("userinfo", "must not have a user or a password")
    if parts.fragment or url.endswith("#"):
        raise UnsafeTarget("fragment", "must not have a fragment")
    host = _check_host(parts.hostname or "", parts.netloc)
    target = Target(url, scheme, host, _DEFAULT_PORTS[scheme] if port is None else port)
    _check_rules(target, rules)
    return target


def check_addresses(target: Target, addresses: list[str], rules: TargetRules) -> list[str]:
    """The addresses of the target, if it may be asked at every one of them; raises `UnsafeTarget`."""
    if not addresses:
        raise UnsafeTarget("no_address", "has a host that does not resolve")
    if not rules.allow_private:
        allowed = all(is_public(one) for one in addresses)
    else:
        allowed = all(is_unicast(one) for one in addresses)
    if not allowed:
        raise UnsafeTarget("private_address", "resolves to an address that is not on the public Internet")
    if target.scheme == "http" and not all(is_loopback(one) for one in addresses):
        raise UnsafeTarget("scheme", "must begin with https:// unless it points to this machine")
    return addresses


def _check_host(host: str, netloc: str) -> str:
    """The host in lower case; raises for what clients read in different ways."""
    if netloc.startswith("["):
        try:
            if "%" in host:  # a zone of this machine
                raise AddressValueError
            return str(IPv6Address(host))
        except AddressValueError:
            raise UnsafeTarget("host", "has no IPv6 address between its brackets") from None
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except AddressValueError:  # 2130706433, 127.1, 0x7f000001 and 0177.0.0.1 are 127.0.0.1 for some
            raise UnsafeTarget("host", "must have an IPv4 address as four decimal numbers") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UnsafeTarget("host", "must have a host name of letters, digits and hyphens")
    return host


def _check_rules(target: Target, rules: TargetRules) -> None:
    if target.host in rules.blocked_hosts and not rules.allow_private:
        raise UnsafeTarget("blocked_host", "points to a service of this installation")
    if not rules.allow_private:
        if not target.is_address and _is_private_name(target.host):
            raise UnsafeTarget("private_host", "must have a public host name")
        if target.port not in rules.ports:
            allowed = ", ".join(map(str, sorted(rules.ports)))
            raise UnsafeTarget("port", f"must have one of these ports: {allowed} (STOREPULSE_WEBHOOK_PORTS)")
    if target.is_address:
        check_addresses(target, [target.host], rules)
