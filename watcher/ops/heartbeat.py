"""The dead man's switch: a GET while the watcher is well. Whoever waits for it raises the alarm when it stays away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp

from watcher import __version__
from watcher.core.clock import Clock
from watcher.core.destinations import ForbiddenAddressError
from watcher.core.errors import ConfigurationError
from watcher.core.facts import HeartbeatMissed, HeartbeatSent, Observer
from watcher.fields import Secret
from watcher.outbound import open_socket

_TIMEOUT_S = 10.0


class Heartbeat:
    """Asks every `interval_s` why the watcher is not well, and only if there is no reason does it GET the address."""

    def __init__(
        self,
        *,
        url: Secret,
        interval_s: float,
        why_not: Callable[[], Awaitable[str | None]],
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._url = url
        self._interval_s = interval_s
        self._why_not = why_not
        self._clock = clock
        self._observer = observer
        self._missed: str | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=min(_TIMEOUT_S, self._interval_s)),
            headers={"User-Agent": f"watcher/{__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
            connector=aiohttp.TCPConnector(socket_factory=open_socket),
        ) as session:
            while True:
                missed = await self._why_not() or await self._beat(session)
                if missed is None:
                    self._observer(HeartbeatSent(self._clock.now()))
                else:
                    self._observer(HeartbeatMissed(missed, first=self._missed is None))
                self._missed = missed
                await self._clock.sleep(self._interval_s)

    async def _beat(self, session: aiohttp.ClientSession) -> str | None:
        """What kept the beat from arriving; never with the address, which is a secret."""
        try:
            async with session.get(self._url.reveal(), allow_redirects=False) as response:
                arrived = 200 <= response.status < 300  # noqa: PLR2004 - the class of success; a redirect is none
                return None if arrived else f"answered HTTP {response.status}"
        except aiohttp.ClientConnectorError as error:
            is_forbidden = isinstance(error.os_error, ForbiddenAddressError)
            return f"the request failed: {error.os_error if is_forbidden else type(error).__name__}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return f"the request failed: {type(error).__name__}"
        except ConfigurationError as error:
            return str(error)
