"""What keeps a service from doing what we ask: named, with its remedy, and without anything that was sent."""

import re
import ssl
from collections.abc import Iterator
from typing import NamedTuple


class Trouble(NamedTuple):
    """One way in which a service fails us. `code` is stable; the other two are sentences for people.

    `is_refusal`: the service knows us and says no, or we do not believe it. It takes somebody who mends
    settings, rights or certificates; a process that is just starting ends with it.
    """

    code: str
    found: str
    remedy: str
    is_refusal: bool = False

    def __str__(self) -> str:
        return f"{self.found}: {self.remedy}"


class ConnectionRefused(RuntimeError):
    """A service will not work with these settings; `trouble` says why and what to do."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


EXIT_REFUSED = 78
"""Exit code of a process whose settings a service refuses; `EX_CONFIG` of sysexits."""

_REASONS = (
    ("expired", "its certificate has expired", "renew it"),
    ("not yet valid", "its certificate is not valid yet", "check the clocks of both machines"),
    ("mismatch", "its certificate is for another name", "use the name that is in its certificate"),
    (
        "not valid for",
        "its certificate is for another name",
        "use the name that is in its certificate",
    ),
    ("revoked", "its certificate was revoked", "renew it"),
    ("", "the CA of its certificate is unknown", "set {ca} to the PEM file of the CA"),
)


def causes(exc: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        following = exc.__cause__ or exc.__context__
        if following is None:
            return
        exc = following


def tls_trouble(service: str, exc: BaseException) -> Trouble | None:
    """What is wrong with TLS, if that is what an exception is about. `service` is Kafka or Redis."""
    text = " ".join(str(one) for one in causes(exc) if isinstance(one, OSError) or "SSL" in str(one))
    variable = f"STOREPULSE_{service.upper()}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        for word, found, remedy in _REASONS:
            if word in text.lower():
                remedy = remedy.format(ca=f"{variable}_CA")
                return Trouble("certificate", f"{service} is not trusted: {found}", remedy, is_refusal=True)
    if re.search(r"ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_\w+)", text):
        found = f"{service} rejects the client certificate, or requires one"
        remedy = f"check {variable}_CERTIFICATE and {variable}_KEY"
        return Trouble("own_certificate", found, remedy, is_refusal=True)
    if re.search(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|HTTP_REQUEST", text):
        found = f"{service} does not use TLS on this port"
        return Trouble("no_tls", found, "check the port, or connect without TLS", is_refusal=True)
    if any(isinstance(one, ssl.SSLError) for one in causes(exc)) or "[SSL" in text:
        return Trouble("tls", f"TLS with {service} failed", "check port, certificates and TLS versions")
    return None


def plain(text: object, limit: int = 160) -> str:
    """The beginning of a server's words, with nothing in it that a terminal or a log could take amiss."""
    words = re.sub(r"[^\x20-\x7e]+", " ", str(text)).strip()
    return words if len(words) <= limit else f"{words[:limit]}..."
