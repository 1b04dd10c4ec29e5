"""Sockets for connections that receivers and the heartbeat make."""

from __future__ import annotations

import socket
from typing import Any

from watcher.core.destinations import check_address


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address as `getaddrinfo` gives it, for aiohttp's connector; raises ForbiddenAddressError.

    Asked when the name has been resolved, so that a name which leads there, or does so of late, leads nowhere.
    """
    family, kind, protocol, _, where = address
    check_address(where[0])
    return socket.socket(family, kind, protocol)
