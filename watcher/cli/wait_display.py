"""How waiting is shown on standard error: a bar on a terminal, a line now and then where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from watcher.cli.options import print_errors
from watcher.cli.tables import plain_text
from watcher.cli.waiting import Course, Display
from watcher.core.model import InstanceState
from watcher.receivers.words import about, shortened

_STILL_AFTER = timedelta(minutes=5)
_NAME_CHARS = 60


def name_of(state: InstanceState) -> str:
    """The instance for people: `office-2026 (6976…)`."""
    instance_id, name = plain_text(state.key.id), shortened(plain_text(state.name).strip(), _NAME_CHARS)
    return f"{name} ({instance_id})" if name else instance_id


@contextmanager
def display() -> Iterator[Display]:
    """What fits where standard error goes."""
    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield Lines()
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[told]}", markup=False),
        console=console,
        transient=True,
        refresh_per_second=2,
        expand=True,
    ) as progress:
        yield Bar(progress)


class Lines:
    """A line for each change of status, and one every five minutes that it lasts."""

    def __init__(self) -> None:
        self._what = ""
        self._still = ""
        self._since: datetime | None = None
        self._told_at: datetime | None = None

    def status(self, state: InstanceState, course: Course) -> None:
        self._what, self._since, self._told_at = name_of(state), course.since, None
        self._still = _status(state)
        usual = _usual(course)
        print_errors([f"{self._what} is {self._still}" + (f"; {usual}" if usual else "")])

    def tick(self, now: datetime) -> None:
        if self._since is None:
            return
        if self._told_at is None:
            self._told_at = now
        elif now - self._told_at >= _STILL_AFTER:
            self._told_at = now
            print_errors([f"{self._what} is still {self._still} after {about((now - self._since).total_seconds())}"])

    def trouble(self, text: str) -> None:
        print_errors([plain_text(text)])


class Bar:
    """A bar that fills up while the status lasts as long as it usually does."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("asking the cloud", total=None, told="")
        self._course: Course | None = None

    def status(self, state: InstanceState, course: Course) -> None:
        self._course = course
        self._progress.update(self._task, description=f"{name_of(state)} {_status(state)}")
        self._progress.update(self._task, completed=0, total=course.usual_s)

    def tick(self, now: datetime) -> None:
        course = self._course
        if course is None:
            return
        elapsed_s = max(0.0, (now - course.since).total_seconds())
        told = "; ".join(part for part in (about(int(elapsed_s)), _usual(course, now=now)) if part)
        self._progress.update(self._task, completed=min(elapsed_s, course.usual_s or 0.0), told=told)

    def trouble(self, text: str) -> None:
        self._progress.console.print(Text(plain_text(text)))


def _status(state: InstanceState) -> str:
    status = plain_text(state.status)
    return f"{status}, its image not yet confirmed" if state.unconfirmed_at is not None else status


def _usual(course: Course, *, now: datetime | None = None) -> str:
    if course.usual_s is None:
        return ""
    usually = f"usually {about(course.usual_s)}"
    try:
        ends_at = (course.since + timedelta(seconds=course.usual_s)).astimezone()
    except OverflowError:
        return usually
    return usually if now is not None and now > ends_at else f"{usually}, ends about {ends_at:%H:%M}"
