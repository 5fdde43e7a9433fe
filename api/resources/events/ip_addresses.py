"""IP addresses, of which only the network is kept."""

import ipaddress
from functools import lru_cache

_KEPT_BITS = {4: 24, 6: 48}


@lru_cache(maxsize=4_096)
def truncate_address(text: str) -> str | None:
    """The address with all but its network set to zero (/24 of IPv4, /48 of IPv6); None if it is none.

    An IPv4 address in IPv6 clothes is one of IPv4.
    """
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    network = ipaddress.ip_network((address, _KEPT_BITS[address.version]), strict=False)
    return str(network.network_address)
