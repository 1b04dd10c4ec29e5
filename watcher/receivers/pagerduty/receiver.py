"""PagerDuty: alerts become incidents (Events API v2)."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, SecretStr

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError, WatcherError
from watcher.core.event_json import format_time
from watcher.core.model import Alert, AlertStatus, Notification
from watcher.core.ports import Notebook, Receiver, Standing
from watcher.fields import DestinationUrl, Secret
from watcher.receivers.base import Describer, ReceiverSettings, ReceiverTools
from watcher.receivers.http import delivery_errors, open_session, reach, secrets_of
from watcher.receivers.pagerduty.answers import RefusedEventError, judged
from watcher.receivers.pagerduty.events import ALERT_PATH, Request, acknowledge, chains, trial

# https://support.pagerduty.com/main/docs/service-regions
_HOSTS = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
_AT_ONCE = 4  # requests under way; PagerDuty throttles each integration
_REFRESH_S = 60.0
_REMEMBERED = 100  # notifications, of which some was accepted


class PagerDutySettings(ReceiverSettings):
    """A PagerDuty service."""

    required_secrets: ClassVar[tuple[str, ...]] = ("routing_key",)

    type: Literal["pagerduty"] = "pagerduty"
    routing_key: SecretStr | None = Field(None, min_length=1)
    """The integration key of the service."""
    routing_key_file: Path | None = None
    """A file that holds `routing_key`."""
    region: Literal["us", "eu"] = "us"
    """The service region of the account: where the Events API is."""
    url: DestinationUrl | None = None
    """Where the Events API is, in place of the region's address: a relay, without `/v2/enqueue`."""
    informational: bool = False
    """Tell of events without alerts, too: as change events, which page nobody."""

    @property
    def alerts_only(self) -> bool:
        """Whether it takes nothing but the beginning and the end of alerts."""
        return not self.informational

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that sends to the Events API."""
        return PagerDutyReceiver(
            name=self.name,
            routing_key=self.required_secret("routing_key"),
            url=str(self.url) if self.url is not None else _HOSTS[self.region],
            informational=self.informational,
            session=open_session(timeout_s=self.timeout.total_seconds()),
            clock=tools.clock,
            notebook=tools.notebook,
            describe=self.describer(tools),
            client_url=tools.links.external_url,
        )


class PagerDutyReceiver:
    """Sends a request for each alert of an event or a digest; the fingerprint is its `dedup_key`.

    What was accepted of a notification is remembered for its next try, in this process. After a restart all of it is
    sent again, which changes nothing for an incident that is open, or over.
    """

    type = "pagerduty"
    digest_bytes = 64_000  # some 80 alerts, a request each: they shall be accepted within one try
    refresh_s = _REFRESH_S

    def __init__(
        self,
        *,
        name: str,
        routing_key: Secret,
        url: str,
        informational: bool,
        session: aiohttp.ClientSession,
        clock: Clock,
        notebook: Notebook,
        describe: Describer,
        client_url: str | None,
    ) -> None:
        self.name = name
        self._routing_key = routing_key
        self._url = url
        self._informational = informational
        self._session = session
        self._clock = clock
        self._notebook = notebook
        self._describe = describe
        self._client_url = client_url
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._accepted: OrderedDict[str, set[tuple[str, str]]] = OrderedDict()
        self._notes: dict[str, str | None] = {}

    async def send(self, notification: Notification) -> str:
        """Have all of it accepted; raises DeliveryError at the first failure."""
        if notification.test:
            return await self._try_out(notification)
        wanted = chains(
            notification, describe=self._describe, client_url=self._client_url, informational=self._informational
        )
        accepted = self._accepted.get(notification.id, set())
        left = [[each for each in chain if each.identity not in accepted] for chain in wanted]
        answers: list[tuple[str, str]] = []

        async def keep(request: Request, answer: str) -> None:
            answers.append((request.action, answer))
            accepted.add(request.identity)
            self._accepted[notification.id] = accepted
            self._accepted.move_to_end(notification.id)
            if len(self._accepted) > _REMEMBERED:
                self._accepted.popitem(last=False)

        try:
            await self._post_all(left, keep)
        except RefusedEventError as refused:
            # In a digest it must not take the others with it; by itself it is found out.
            raise DeliveryError(
                str(refused), reason=refused.reason, permanent=True, too_large=notification.is_digest
            ) from refused
        self._accepted.pop(notification.id, None)
        return _told(answers)

    async def refresh(self, standing: Sequence[Standing]) -> None:
        """Have the incidents acknowledged whose alerts are; raises DeliveryError and StoreError."""
        by_key = {_note_key(each.alert): each for each in standing}
        firing = {key: each for key, each in by_key.items() if each.alert.status is AlertStatus.FIRING}
        for key in {*self._notes, *by_key} - firing.keys():
            if await self._noted(key) is not None:
                await self._note(key, None)
        self._notes = {key: noted for key, noted in self._notes.items() if key in by_key}
        due, notes = list[list[Request]](), dict[tuple[str, str], tuple[str, str]]()
        for key, each in firing.items():
            taken_at = format_time(each.acknowledged.created_at) if each.acknowledged is not None else None
            if taken_at is not None and await self._noted(key) != taken_at:
                request = acknowledge(each.alert)
                due.append([request])
                notes[request.identity] = key, taken_at

        async def keep(request: Request, _answer: str) -> None:
            await self._note(*notes[request.identity])

        await self._post_all(due, keep)

    async def reach(self) -> None:
        """Connect to the Events API; raises DeliveryError."""
        await reach(self._url)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _try_out(self, notification: Notification) -> str:
        trigger, end = trial(notification, describe=self._describe, client_url=self._client_url)
        opened = await self._post(trigger)
        try:
            closed = await self._post(end)
        except DeliveryError as error:
            message = f"the test incident was opened ({opened}), and not resolved: {error}"
            raise DeliveryError(message, reason=error.reason, permanent=error.permanent) from error
        return f"a test incident was opened ({opened}) and resolved ({closed})"

    async def _post_all(
        self, wanted: Iterable[Iterable[Request]], accepted: Callable[[Request, str], Awaitable[None]]
    ) -> None:
        """Send the chains, several at once, until one fails; what is under way by then is waited for."""
        waiting, failures = iter(wanted), list[WatcherError]()

        async def work() -> None:
            for chain in waiting:
                for request in chain:
                    if failures:
                        return
                    try:
                        await accepted(request, await self._post(request))
                    except WatcherError as error:
                        failures.append(error)
                        return

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work())
        if failures:
            raise next(filter(_is_temporary, failures), failures[0])

    async def _post(self, request: Request) -> str:
        async with self._places:
            with delivery_errors():
                key = self._routing_key.reveal()
                url = _address(self._url, request.path)
                headers = {"Content-Type": "application/json"}
                async with self._session.post(url, data=request.encoded(key), headers=headers) as response:
                    return judged(
                        response.status,
                        headers=response.headers,
                        text=await response.text(),
                        now=self._clock.now(),
                        secrets=[key, *secrets_of(self._url), *secrets_of(url)],
                    )

    async def _noted(self, key: str) -> str | None:
        if key not in self._notes:
            self._notes[key] = await self._notebook.note(self.name, key)
        return self._notes[key]

    async def _note(self, key: str, text: str | None) -> None:
        await self._notebook.write_note(self.name, key, text, now=self._clock.now())
        self._notes[key] = text


def _is_temporary(failure: WatcherError) -> bool:
    return not (isinstance(failure, DeliveryError) and failure.permanent)


def _address(base: str, path: str) -> str:
    parts = urlsplit(base)
    # Other products ask for the whole address of the endpoint, and people copy it.
    return parts._replace(path=parts.path.rstrip("/").removesuffix(ALERT_PATH) + path).geturl()


def _note_key(alert: Alert) -> str:
    return f"acknowledged {alert.fingerprint} {format_time(alert.starts_at)}"


def _told(answers: Sequence[tuple[str, str]]) -> str:
    if not answers:
        return "nothing to send: no alert in it"
    if len(answers) == 1:
        return answers[0][1]
    counts = Counter(action for action, _ in answers)
    return ", ".join(f"{count} {action}" for action, count in counts.items()) + f": {answers[-1][1]}"
