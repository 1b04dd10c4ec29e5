"""What somebody waits for an instance to become, and whether it is that, or never will be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from watcher.core.alerts import BUILD_FAILED, is_firing
from watcher.core.model import InstanceState, Presence, Status

DELETED = "deleted"
_TO_THE_END = frozenset({DELETED, Status.DELETING.casefold()})


class Outcome(StrEnum):
    """How waiting ended."""

    REACHED = "reached"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How waiting ended, and why in words when it did not end well."""

    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """Any of these: statuses, in whatever case, or `deleted`. `new_image`: BUILT with another image than at first."""

    words: tuple[str, ...]
    new_image: bool = False

    @classmethod
    def of(cls, texts: Iterable[str], *, new_image: bool = False) -> Self:
        """From texts with one word or several, comma separated; documented ones as the cloud writes them."""
        words = [word.strip() for text in texts for word in text.split(",")]
        known = {word.casefold(): word for word in (*(status.value for status in Status), DELETED)}
        named = dict.fromkeys(known.get(word.casefold(), word) for word in words if word)
        return cls(words=tuple(named), new_image=new_image)

    def __str__(self) -> str:
        words = ", ".join(self.words[:-1]) + " or " + self.words[-1] if len(self.words) > 1 else "".join(self.words)
        return f"{words} with a new image" if self.new_image else words

    def includes(self, word: str | None) -> bool:
        """Whether this status, or `deleted`, is waited for."""
        return word is not None and word.casefold() in {each.casefold() for each in self.words}

    @property
    def only_the_end(self) -> bool:
        """Whether it is only waited for that the instance goes, which it can from any status."""
        return all(word.casefold() in _TO_THE_END for word in self.words)


def judge(
    state: InstanceState, awaited: Awaited, *, first: InstanceState, passed: Collection[str] = ()
) -> Verdict | None:
    """How waiting ends with the instance as it is now; None: it goes on.

    `first` is the instance as it was first seen, `passed` are the statuses it has passed unseen since.
    """
    if state.presence is not Presence.PRESENT:
        return _judge_gone(state, awaited)
    if state.absences or state.status is None:
        return None  # not seen this time: whether it is gone the next one shows
    if any(map(awaited.includes, passed)):
        return _REACHED
    if state.status == Status.BUILT:
        return _judge_built(state, awaited, first=first)
    return _judge_there(state, awaited, first=first)


_REACHED = Verdict(outcome=Outcome.REACHED)


def _failed(what: str, state: InstanceState) -> Verdict:
    return Verdict(outcome=Outcome.FAILED, message=f"{what}: {why}" if (why := _why(state)) else what)


def _why(state: InstanceState) -> str:
    """The reason in words; "" where none is known."""
    reason = state.reason
    if reason is None:
        return ""
    likely = "" if reason.exact else "likely "
    return likely + " ".join(part for part in (reason.message, f"({reason.code})" if reason.code else "") if part)


def _judge_gone(state: InstanceState, awaited: Awaited) -> Verdict:
    if awaited.includes(DELETED):
        return _REACHED
    if state.status is None:
        return Verdict(outcome=Outcome.FAILED, message="the cloud knows no such instance")
    return Verdict(outcome=Outcome.FAILED, message=f"it is gone; it was {state.status}")


def _judge_there(state: InstanceState, awaited: Awaited, *, first: InstanceState) -> Verdict | None:
    if awaited.includes(state.status):
        return _REACHED
    if state.status == Status.ERROR and not awaited.only_the_end:
        return _failed("it is in ERROR" if first.status == Status.ERROR else "it went to ERROR", state)
    return None


def _judge_built(state: InstanceState, awaited: Awaited, *, first: InstanceState) -> Verdict | None:
    if is_firing(BUILD_FAILED, state.alerts) and not awaited.only_the_end:  # only told of builds seen to end
        return _failed("its build ended without a new product image", state)
    if not awaited.includes(Status.BUILT) or state.unconfirmed_at is not None:
        return None
    if awaited.new_image and first.status == Status.BUILT and state.image_id == first.image_id:
        return None
    return _REACHED if state.image_id else _failed("it is BUILT without a product image", state)
