"""Which addresses nothing is sent to, in all their spellings."""

from __future__ import annotations

import socket

import pytest

from watcher.core.destinations import ForbiddenAddressError, is_forbidden
from watcher.outbound import open_socket

METADATA = [
    "169.254.169.254",
    "169.254.0.0",
    "169.254.255.255",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.0xfea9fe",
    "169.254.169.254.",
    "::ffff:169.254.169.254",
    "[::ffff:a9fe:a9fe]",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
]
GOOD = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.253.255.255", "169.255.0.0", "8.8.8.8", "::1", "::"),
    *("fd00::1", "fec0::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
    *("localhost", "alertmanager", "169.254.169.254.example", "x" * 300, "ä.example", "", "a b", "1.2.3.4.5", "\x00"),
]


@pytest.mark.parametrize("host", METADATA)
def test_link_local_however_written(host: str) -> None:
    assert is_forbidden(host)


@pytest.mark.parametrize("host", GOOD)
def test_what_may_be_asked(host: str) -> None:
    assert not is_forbidden(host)


def test_no_socket_is_made_for_it() -> None:
    for family, where in ((socket.AF_INET, ("169.254.169.254", 80)), (socket.AF_INET6, ("fe80::1", 80, 0, 2))):
        with pytest.raises(ForbiddenAddressError, match="link-local"):
            open_socket((family, socket.SOCK_STREAM, 0, "", where))
    open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))).close()
