"""Apprise: more than a hundred services by one address each.

The library is an extra (`pip install 'watcher[apprise]'`) and is loaded only where a receiver of this type is
configured: everything that touches it is in `service` and `watch`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator

from watcher.core.clock import Clock
from watcher.core.errors import ConfigurationError, DeliveryError, FailureReason
from watcher.core.model import Notification
from watcher.core.ports import Receiver
from watcher.fields import Secret
from watcher.receivers.apprise.tries import Told, Tries
from watcher.receivers.base import Describer, ReceiverSettings, ReceiverTools
from watcher.receivers.http import delivery_errors, reach

if TYPE_CHECKING:
    from watcher.receivers.apprise.service import AppriseServices

# Of the section's timeout: what blocks ends first, and the own one before everybody's, as it can say who was late.
_SOCKET_SHARE, _OWN_SHARE = 0.9, 0.95


class MissingExtraError(ConfigurationError):
    """The library is not installed."""


def _load_services() -> type[AppriseServices]:
    try:
        module = importlib.import_module("watcher.receivers.apprise.service")
    except ImportError as error:
        raise MissingExtraError("apprise needs the extra: pip install 'watcher[apprise]'") from error
    services: type[AppriseServices] = module.AppriseServices
    return services


def _check_address(value: SecretStr) -> SecretStr:
    problem = _problem(value.get_secret_value())
    if problem is not None:
        raise ValueError(problem)
    return value


def _problem(address: str) -> str | None:
    try:
        return _load_services()().problem(address)
    except MissingExtraError:
        return None  # told at `type`


class AppriseSettings(ReceiverSettings):
    """Services that Apprise knows, one address each."""

    required_secrets: ClassVar[tuple[str, ...]] = ("urls",)

    type: Literal["apprise"] = "apprise"
    urls: tuple[Annotated[SecretStr, AfterValidator(_check_address)], ...] = Field((), min_length=1)
    """Apprise addresses; they hold passwords, so they are secrets."""
    urls_file: Path | None = None
    """A file that holds `urls`, one a line; read at each use. Empty lines and those that begin with `#` are skipped."""

    @field_validator("type")
    @classmethod
    def _check_extra(cls, value: Literal["apprise"]) -> Literal["apprise"]:
        try:
            _load_services()
        except MissingExtraError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("urls_file")
    @classmethod
    def _check_file(cls, value: Path | None) -> Path | None:
        try:
            text = Secret(path=value).reveal() if value is not None else ""
        except ConfigurationError:
            return value  # not there yet, or not readable: told elsewhere, and again at each use
        for number, line in enumerate(text.splitlines(), start=1):
            for address in _addresses_in(line):
                if (problem := _problem(address)) is not None:
                    raise ValueError(f"in the file, line {number}: {problem}")
        return value

    def build(self, tools: ReceiverTools) -> Receiver:
        """A receiver that hands each notification to every address; raises ConfigurationError without the library."""
        timeout_s = self.timeout.total_seconds()
        return AppriseReceiver(
            name=self.name,
            addresses=Addresses(values=[url.get_secret_value() for url in self.urls], path=self.urls_file),
            services=_load_services()(),
            timeout_s=timeout_s,
            clock=tools.clock,
            describe=self.describer(tools),
        )


def _addresses_in(text: str) -> Iterator[str]:
    lines = (line.strip() for line in text.splitlines())
    yield from (line for line in lines if line and not line.startswith("#"))


class Addresses:
    """The addresses as configured, or as they are in the file now."""

    def __init__(self, *, values: list[str], path: Path | None) -> None:
        self._values = values
        self._file = Secret(path=path) if path is not None else None
        self._path = path

    def now(self) -> list[str]:
        """Each address once; raises ConfigurationError when the file cannot be read or holds none."""
        if self._file is None:
            return list(dict.fromkeys(self._values))
        found = list(dict.fromkeys(_addresses_in(self._file.reveal())))
        if not found:
            raise ConfigurationError(f"the secret file {self._path} holds no address")
        return found


class AppriseReceiver:
    """Hands each notification to every address by itself.

    An address that accepted a notification is not sent it again when another address failed and the notification is
    tried again; after a restart it may be once more. What one address refused for good makes the notification dead
    only when no other has to be tried again.
    """

    type = "apprise"
    digest_bytes = None

    def __init__(
        self,
        *,
        name: str,
        addresses: Addresses,
        services: AppriseServices,
        timeout_s: float,
        clock: Clock,
        describe: Describer,
    ) -> None:
        self.name = name
        self._addresses = addresses
        self._services = services
        self._timeout_s = timeout_s
        self._clock = clock
        self._describe = describe
        self._told = Told()
        self._tries = Tries(self._told)

    async def send(self, notification: Notification) -> str:
        """Have every address accept it; raises DeliveryError that says which did not."""
        message = self._describe(notification)
        with delivery_errors():
            addresses = self._addresses.now()
        send = partial(self._services.send, timeout_s=self._timeout_s * _SOCKET_SHARE, clock=self._clock)
        tries = {
            address: self._tries.start(notification.id, address, partial(send, address, message))
            for address in addresses
            if self._told.outcome(notification.id, address) is None
        }
        if tries:
            await asyncio.wait(tries.values(), timeout=self._timeout_s * _OWN_SHARE)
        for attempt in tries.values():
            if not attempt.done():
                self._tries.abandon(attempt)
        return self._conclude(notification.id, addresses)

    def _conclude(self, notification_id: str, addresses: list[str]) -> str:
        late = DeliveryError("no answer in time", reason=FailureReason.TIMEOUT, permanent=False)
        outcomes = [self._told.take(notification_id, address) or late for address in addresses]
        errors = [outcome for outcome in outcomes if isinstance(outcome, DeliveryError)]
        texts = [self._line(outcome, at, addresses) for at, outcome in enumerate(outcomes)]
        if not errors:
            self._told.forget(notification_id)
            return "; ".join(texts)
        temporary = [error for error in errors if not error.permanent]
        if not temporary:
            self._told.forget_refusals(notification_id)
        waits = [error.retry_after_s for error in temporary if error.retry_after_s is not None]
        failed = zip(texts, outcomes, strict=True)
        raise DeliveryError(
            "; ".join(text for text, outcome in failed if isinstance(outcome, DeliveryError)),
            reason=(temporary or errors)[0].reason,
            permanent=not temporary,
            retry_after_s=max(waits, default=None),
            too_large=not temporary and any(error.too_large for error in errors),
        )

    def _line(self, outcome: str | DeliveryError, at: int, addresses: list[str]) -> str:
        if len(addresses) == 1:
            return str(outcome)
        return f"address {at + 1} of {len(addresses)} ({self._services.scheme(addresses[at])}): {outcome}"

    async def reach(self) -> None:
        """See that every address is understood, and connect where it says where to; raises DeliveryError."""
        with delivery_errors():
            addresses = self._addresses.now()
        for at, address in enumerate(addresses):
            try:
                await self._reach(address)
            except DeliveryError as error:
                told = self._line(error, at, addresses)
                raise DeliveryError(told, reason=error.reason, permanent=error.permanent) from error

    async def _reach(self, address: str) -> None:
        with delivery_errors():
            problem = self._services.problem(address)
            if problem is not None:
                raise ConfigurationError(problem)
            url = self._services.http_url(address)
            if url is not None:
                await reach(url)

    async def close(self) -> None:
        """Let what is under way send nothing more; its threads end by themselves, and nobody waits for them."""
        self._tries.close()
