"""Text without what must not be in a log: keys, passwords, e-mail addresses, card numbers, IP addresses."""

import ipaddress
import re

_MARK = "[redacted]"
_RULES = [
    (re.compile(r"\b(pk_|ak_|wk_|sk_|whsec_)[\w+/=.-]{4,}"), rf"\1{_MARK}"),
    (re.compile(r"(?i)(authorization['\"]?\s*[:=,]\s*b?['\"]?)[^'\"\r\n]+"), rf"\1{_MARK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {_MARK}"),
    (
        re.compile(r"(?i)\b((?:api_?|api-)?(?:key|secret)|token|ticket|password|passwd)=[^&\s'\"]+"),
        rf"\1={_MARK}",
    ),
    (re.compile(r"(://[^/\s:@]*):[^@/\s]+@"), rf"\1:{_MARK}@"),
    # Begins only where a word begins, or a long text would be tried from every character of it.
    (re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), "[email]"),
]
_CARD = re.compile(r"(?<![\d.-])[2-6](?:[ -]?\d){13,18}(?![\d.])")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?![\w:])")
_OURS = [
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/32", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
]
"""Services have such addresses; a log without them is of no use to whoever looks for a service."""
_OURS_6 = [ipaddress.ip_network(text) for text in ("::/127", "fc00::/7", "fe80::/10")]


def redact(text: str) -> str:
    """The text with a mark in place of each of them; IP addresses of private networks stay."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _CARD.sub(_redact_card, text)
    text = _IPV4.sub(_redact_address, text)
    return _IPV6.sub(_redact_address, text)


def _redact_card(match: re.Match[str]) -> str:
    digits = [int(char) for char in match[0] if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    is_card = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
    return "[card]" if is_card else match[0]


def _redact_address(match: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return match[0]
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        ours = any(mapped in net for net in _OURS) if mapped else any(address in net for net in _OURS_6)
    else:
        ours = any(address in net for net in _OURS)
    return match[0] if ours else "[ip]"
