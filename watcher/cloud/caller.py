"""An authorized exchange: authorize, send, authenticate again at most once, and raise what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TypeGuard, TypeVar

from watcher.cloud.auth.base import Authenticator, Credential
from watcher.cloud.exchange import Answer, Request
from watcher.cloud.failures import failure
from watcher.cloud.transport import Transport
from watcher.core.clock import Clock
from watcher.core.errors import CloudAuthError, CloudError, CloudPermissionError, ConfigurationError

T = TypeVar("T")

REFUSAL_PAUSE_S = 6 * 60.0
"""A refused credential is not sent again for this long, longer than the 5 min that more than 5 failures in a row lock
an access key for.
"""


@dataclass(frozen=True, slots=True)
class _Refusal:
    until: float
    error: CloudError


class Caller:
    """Sends requests with the authenticator's credential.

    However many requests are wanted at once, a credential that has not yet been seen to work is tried by one of them
    alone, and one that was refused is not sent again for REFUSAL_PAUSE_S: a wrong key costs one failure, not sixteen.
    A credential counts as good as soon as a request with it ended in anything but a 401, so that a cloud that does
    not answer does not make the requests queue up.
    """

    def __init__(self, *, transport: Transport, authenticator: Authenticator, clock: Clock) -> None:
        self._transport = transport
        self._authenticator = authenticator
        self._clock = clock
        self._good: Credential | None = None
        self._refusals: dict[Credential, _Refusal] = {}
        self._lacking = False  # the last credential wanted could not be had
        self._proving = asyncio.Lock()

    async def project_id(self) -> str:
        """The project the credential came with, or ""; raises CloudError when there is no credential."""
        await self._credential()
        return self._authenticator.project_id

    async def has_new_credential(self) -> bool:
        """Whether the credential to use now is another one than that refused last (a changed secret file): worth trying
        before the pause is over.

        Sends nothing that was refused, neither to the cloud nor to whoever gives credentials.
        """
        if not (self._refusals or self._lacking):
            return False
        try:
            present = await self._authenticator.look_again()
        except (CloudError, ConfigurationError):
            return False
        return present is not None and present not in self._refusals

    async def call(
        self, operation: str, request: Request, parse: Callable[[Answer], T], *, names_one: bool = False
    ) -> T:
        """Return what `parse` makes of a 2xx answer; raises a CloudError for all else. `names_one`: see `failure`."""
        credential = await self._credential()
        if credential is self._good:  # the usual case, kept short
            result: T | Answer | _Refusal = await self._send(operation, request, parse, credential)
        else:
            result = await self._attempt(operation, request, parse, credential)
        if isinstance(result, _Refusal) or _is_refusal(result):
            # Where another request met the refusal, it also sees to a new credential: take what there is by now.
            other = await self._credential(refused=None if isinstance(result, _Refusal) else credential)
            if other != credential:
                credential = other
                result = await self._attempt(operation, request, parse, credential)
        if isinstance(result, _Refusal):
            raise self._still_refused(result)
        if isinstance(result, Answer):
            raise self._failure(result, credential, names_one=names_one)
        return result

    async def _credential(self, *, refused: Credential | None = None) -> Credential:
        """The credential to use, or to use instead of one that was `refused`: that one itself if there is no other."""
        try:
            if refused is None:
                return await self._authenticator.credential()
            return await self._authenticator.replace(refused) or refused
        except ConfigurationError as error:  # a secret's file cannot be read
            self._lacking = True
            raise CloudAuthError(str(error)) from error
        except (CloudAuthError, CloudPermissionError):
            self._lacking = True
            raise

    async def _attempt(
        self, operation: str, request: Request, parse: Callable[[Answer], T], credential: Credential
    ) -> T | Answer | _Refusal:
        """As `_send`, or without sending the refusal that this very credential has met not long ago."""
        if credential != self._good:
            async with self._proving:
                if credential != self._good:
                    refusal = self._barred(credential)
                    if refusal is not None:
                        return refusal
                    return await self._send(operation, request, parse, credential)
        return await self._send(operation, request, parse, credential)

    async def _send(
        self, operation: str, request: Request, parse: Callable[[Answer], T], credential: Credential
    ) -> T | Answer:
        """What `parse` makes of a 2xx answer, or any other answer as it is."""

        def read(answer: Answer) -> T | Answer:
            return parse(answer) if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES else answer

        headers = credential.headers(request, self._clock.now())
        try:
            result = await self._transport.exchange(request, headers, read, operation=operation)
        except CloudError:
            if self._barred(credential) is None:
                self._accept(credential)
            raise
        if _is_refusal(result):
            self._refuse(credential, result)
        else:
            self._accept(credential)
        return result

    def _accept(self, credential: Credential) -> None:
        self._lacking = False
        if credential is not self._good:
            self._good = credential
            self._refusals.pop(credential, None)

    def _refuse(self, credential: Credential, answer: Answer) -> None:
        """Bar this credential too: requests under way with the former one may be refused after a new one was."""
        self._lacking = False
        if self._good == credential:
            self._good = None
        self._refusals = {each: refusal for each, refusal in self._refusals.items() if self._left_s(refusal) > 0}
        until = self._clock.monotonic() + REFUSAL_PAUSE_S
        self._refusals[credential] = _Refusal(until, self._failure(answer, credential))

    def _failure(self, answer: Answer, credential: Credential, *, names_one: bool = False) -> CloudError:
        return failure(answer, now=self._clock.now(), names_one=names_one, secrets=credential.secrets)

    def _barred(self, credential: Credential) -> _Refusal | None:
        refusal = self._refusals.get(credential)
        return refusal if refusal is not None and self._left_s(refusal) > 0 else None

    def _left_s(self, refusal: _Refusal) -> float:
        return refusal.until - self._clock.monotonic()

    def _still_refused(self, refusal: _Refusal) -> CloudAuthError:
        """What the cloud said then, and when it will be asked again."""
        error, left_s = refusal.error, self._left_s(refusal)
        again = CloudAuthError(
            f"{error.args[0]}; not asked again with the same credential for "
            f"{timedelta(seconds=round(left_s))} (h:mm:ss)",
            http_status=error.http_status,
            code=error.code,
            request_id=error.request_id,
            retry_after_s=left_s,
        )
        again.__cause__ = error
        return again


def _is_refusal(result: object) -> TypeGuard[Answer]:
    return isinstance(result, Answer) and result.status == HTTPStatus.UNAUTHORIZED
