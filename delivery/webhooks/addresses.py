"""Addresses: which of them are the public Internet, whatever form they hide in.

Python's `is_global` takes multicast, 6to4, NAT64, Teredo and IPv4-compatible forms of private addresses for
global, so IPv6 is held against a list of what is allowed, and every address inside another is looked at too.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by providers
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; clouds answer secrets at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo is in it, and nobody serves there
        "2001:db8::/32",
        "2002::/16",  # 6to4, given up long ago
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def is_public(text: str) -> bool:
    """Whether this address, and every address inside it, belongs to the public Internet."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return _is_public_v4(address) if isinstance(address, IPv4Address) else _is_public_v6(address)


def is_loopback(text: str) -> bool:
    """Whether this address is this machine, also as an IPv4 address mapped into IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_unicast(text: str) -> bool:
    """Whether one host may have this address: no multicast, no broadcast, not unspecified."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = next((one for one in embedded(address)), address)
    return not any(
        one.is_multicast or one.is_unspecified or one == IPv4Address("255.255.255.255")
        for one in (address, inner)
    )


def embedded(address: Address) -> list[IPv4Address]:
    """IPv4 addresses that packets to this IPv6 address may end at."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    low = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64 or address in _COMPATIBLE:
        found.append(low)
    return [one for one in found if one is not None]


def _is_public_v4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _REFUSED_V4)
    )


def _is_public_v6(address: IPv6Address) -> bool:
    inner = embedded(address)
    if not all(_is_public_v4(one) for one in inner):
        return False
    if address.ipv4_mapped is not None or address in _NAT64:
        return True
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)
