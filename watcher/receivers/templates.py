"""Texts of a receiver's own: Jinja2 in its sandbox, tried on events of every kind before the first real one.

Template language: https://jinja.palletsprojects.com/en/stable/templates/
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from watcher.core.event_json import to_json
from watcher.core.model import Notification
from watcher.receivers.links import Links
from watcher.receivers.message import Message, describe
from watcher.receivers.samples import samples
from watcher.receivers.words import format_length, plain, shortened

_TITLE_CHARS = 500
_BODY_CHARS = 10_000


class TemplateError(Exception):
    """A template cannot be filled in; the text says why, in one line."""


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = format_length
    return environment


def compiled(source: str) -> Template:
    """The template; raises TemplateError."""
    try:
        return _environment().from_string(source)
    except TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from error
    except (RecursionError, ValueError, OverflowError, MemoryError) as error:
        raise TemplateError(f"not a template: {type(error).__name__}") from error


def check_template(source: str) -> str:
    """The source, if it can be filled in for events of every kind; raises TemplateError."""
    template = compiled(source)
    for notification in samples():
        try:
            filled(template, notification, describe(notification, links=Links()))
        except TemplateError as failure:
            if notification.is_digest:
                what = "a digest"
            else:
                what = "a test" if notification.test else f"an event of kind {notification.event.kind.value}"
            raise TemplateError(f"cannot be filled in for {what}: {failure}") from failure
    return source


def filled(template: Template, notification: Notification, message: Message) -> str:
    """The text for one notification; raises TemplateError.

    The template is given what the product would say (`title`, `summary`, `emoji`, `fields`, `groups`, `links`), the
    contract's `events` and `event` (the first of them), `is_digest`, `held_by` and `test`.
    """
    events = [to_json(event) for event in notification.events]
    try:
        return template.render(
            title=message.title,
            summary=message.summary,
            emoji=message.emoji,
            fields=dict(message.fields),
            groups=dict(message.groups),
            links=dict(message.links),
            events=events,
            event=events[0],
            is_digest=notification.is_digest,
            held_by=notification.held_by,
            test=notification.test,
        )
    except Exception as error:  # a template can raise whatever its expressions do
        raise TemplateError(plain(str(error)) or type(error).__name__) from error


class TextTemplates:
    """The templates of one receiver, for title and body; either may be None."""

    def __init__(self, *, title: str | None, body: str | None) -> None:
        self._title = compiled(title) if title is not None else None
        self._body = compiled(body) if body is not None else None

    def fill(self, notification: Notification, message: Message) -> Message:
        """The message with its texts in place of the product's; raises TemplateError."""
        title, body = message.title, message.body
        if self._title is not None:
            title = plain(filled(self._title, notification, message))
            if not title:
                raise TemplateError("the title is empty")
            if notification.test and not title.startswith("[TEST]"):
                title = f"[TEST] {title}"
        if self._body is not None:
            text = filled(self._body, notification, message)[:_BODY_CHARS]
            body = tuple(plain(line) for line in text.strip().splitlines())
        return replace(message, title=shortened(title, _TITLE_CHARS), body=body)
