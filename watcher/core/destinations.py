"""Where notifications and heartbeats may not go: link-local addresses, where a cloud's metadata service gives keys.

Private addresses are no such: an Alertmanager in the cluster has one. RFC 3927 (169.254.0.0/16), RFC 4291 (fe80::/10).
"""

from __future__ import annotations

import ipaddress
import socket

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_V4_BITS = 0xFFFFFFFF


class ForbiddenAddressError(OSError):
    """A connection that is not made."""

    def __init__(self) -> None:
        super().__init__("it is a link-local address, where nothing is sent: a cloud's metadata service is there")


def is_forbidden(host: str) -> bool:
    """Whether the host is a link-local address, however written: 0xa9fea9fe and ::ffff:169.254.169.254 are some."""
    address = _address(host.strip("[]"))
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & _V4_BITS)
        else:
            address = address.ipv4_mapped or address.sixtofour or _compatible(address) or address
    return address is not None and address.is_link_local


def _compatible(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address within `::a.b.c.d`, an old form."""
    return ipaddress.IPv4Address(int(address)) if _V4_BITS >= int(address) > 1 else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # What ends a name and what resolvers take for an address: one number, hexadecimal, octal.
        return ipaddress.IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except (OSError, ValueError):  # a name; a character that no address has
        return None


def check_host(host: str | None) -> None:
    """Raise ValueError for a host that is a link-local address, in words for the configuration."""
    if host is not None and is_forbidden(host):
        raise ValueError(f"not there: {ForbiddenAddressError()}")


def check_address(address: str) -> None:
    """Raise ForbiddenAddressError for a link-local address."""
    if is_forbidden(address):
        raise ForbiddenAddressError
