"""Telling systemd how the daemon does, where systemd started it.

The protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html (datagrams of `NAME=value` lines)
and https://www.freedesktop.org/software/systemd/man/latest/sd_watchdog_enabled.html.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping

from watcher.core.clock import Clock

_LOOKS = 4
"""How often the watchdog is fed in its time: with the usual two, a single bad look would end the daemon."""
_STATUS_MAX = 500


class ServiceManager:
    """Whoever started the daemon and listens at `NOTIFY_SOCKET`. Where nobody does, everything here does nothing."""

    def __init__(self, *, environment: Mapping[str, str], clock: Clock) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._watchdog_s = _watchdog_s(environment)
        self._clock = clock

    def ready(self, status: str = "") -> None:
        """The start, or a reload, is over. Raises nothing, like all of these."""
        self._tell("READY=1", *_status(status))

    def reloading(self) -> None:
        """A reload begins; `ready` must follow, also when the new configuration is refused."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        """The drain begins."""
        self._tell("STOPPING=1", *_status("draining"))

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._tell(*_status(text))

    async def run(self, stuck: Callable[[], str | None]) -> None:
        """Feed the watchdog for as long as `stuck` says None; endless, also where there is no watchdog."""
        if self._watchdog_s is None:
            await asyncio.Event().wait()
            return
        shown: str | None = None
        while True:
            if (reason := stuck()) is None:
                self._tell("WATCHDOG=1")
            if reason != shown:
                self.status(reason or "it gets on again")
                shown = reason
            await self._clock.sleep(self._watchdog_s / _LOOKS)

    def _tell(self, *assignments: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto("\n".join(assignments).encode(errors="replace"), self._address)
        except OSError:
            pass  # a service manager that is gone or does not read must not hold up the watcher


def _status(text: str) -> list[str]:
    # A line break would begin another assignment.
    return [f"STATUS={' '.join(text.split())[:_STATUS_MAX]}"] if text else []


def _address(notify_socket: str) -> str | None:
    if notify_socket.startswith("@"):
        return "\0" + notify_socket[1:]  # Linux' abstract namespace
    return notify_socket if notify_socket.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """After how long without a word the daemon is ended; None: never, or it is another process that must report."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = environment.get("WATCHDOG_USEC", "")
    return int(usec) / 1_000_000 if usec.isascii() and usec.isdigit() and int(usec) > 0 else None
