"""A message as Slack shows it: a header, and below it the rest beside a bar of the tone's colour.

Only attachments have a colour. One that holds blocks may hold nothing else but `color`
(https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments); beside `blocks`, the message's
`text` is shown in notifications only. All that others can have written is `plain_text`: it mentions, links and styles
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from watcher.receivers.message import LIKELY_REASON, REASON, Message
from watcher.receivers.tone import Tone

# Slack's limits on Block Kit (https://docs.slack.dev/reference/block-kit/blocks)
_HEADER_CHARS = 150
_FIELDS = 10
_PACKED_CHARS = 2900
# Ours, far below Slack's for single texts: of all blocks of a message together it takes about 12000 characters
# (https://github.com/slackapi/bolt-js/issues/2509).
_SECTION_CHARS = 1000
_LABEL_CHARS = 40
_VALUE_CHARS = 400
_FACTS = 15
_LINKS_CHARS = 2000
_BODY_CHARS = 8000
_MARKS = frozenset("*_~`")


def content(message: Message) -> dict[str, Any]:
    """All of a message, as `chat.postMessage`, `chat.update` and incoming webhooks take it."""
    if message.body is not None:
        return _whole(message, message.tone, _packed(message.body))
    reasons = _reasons(message)
    facts = [*(pair for pair in message.fields if pair not in reasons), ("Seen", message.seen)]
    rest = [
        _section(message.summary),
        *(_section(f"{label}: {value}") for label, value in reasons),
        *(_section(f"{label}\n{whom}") for label, whom in message.groups),
        *_table(facts),
    ]
    return _whole(message, message.tone, rest)


def status(message: Message, *, tone: Tone, facts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The present status in short: what happened last, why, and these facts."""
    lines = [message.summary, *(f"{label}: {value}" for label, value in _reasons(message))]
    if message.body is not None:
        lines = [line for line in message.body if line][:1]
    return _whole(message, tone, [*map(_section, lines), *_table(facts)])


def _whole(message: Message, tone: Tone, rest: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "text": fallback_text(message),
        "blocks": [{"type": "header", "text": _plain(f"{message.emoji} {message.title}", _HEADER_CHARS)}],
        "attachments": [{"color": tone.colour, "blocks": [*rest, *_links(message.links)]}],
    }


def fallback_text(message: Message) -> str:
    """The line that notifications and screen readers show."""
    return _escape(_cut(f"{message.emoji} {message.headline}", _SECTION_CHARS))


def _reasons(message: Message) -> list[tuple[str, str]]:
    return [(label, value) for label, value in message.fields if label in (REASON, LIKELY_REASON)]


def _packed(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Lines in as few sections as hold them, as far as a message does."""
    sections, text, left = list[dict[str, Any]](), "", _BODY_CHARS
    for line in lines:
        shown = _cut(line, _PACKED_CHARS)
        left -= _units(json.dumps(shown, ensure_ascii=False))
        if left < 0:
            text += "\n…"
            break
        if text and _units(text) + _units(shown) + 1 > _PACKED_CHARS:
            sections.append(_section(text, _PACKED_CHARS))
            text = shown
        else:
            text += f"\n{shown}" if text else shown
    return [*sections, _section(text.strip(), _PACKED_CHARS)]


def _table(facts: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Sections show their fields in two columns: labels at the left, values at the right."""
    shown = facts if len(facts) <= _FACTS else [*facts[: _FACTS - 2], facts[-1]]
    fields = [text for label, value in shown for text in (_label(label), _plain(value or "-", _VALUE_CHARS))]
    for at in range(0, len(fields), _FIELDS):
        yield {"type": "section", "fields": fields[at : at + _FIELDS]}
    if len(facts) > len(shown):
        yield _section(f"… and {len(facts) - len(shown)} more labels")


def _links(links: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    shown = ""
    for text, url in links:
        more = f"{shown} · " if shown else ""
        more += f"<{_escape(url)}|{_escape(text)}>"
        if _units(more) <= _LINKS_CHARS:  # an address cut in two leads nowhere
            shown = more
    if shown:
        yield {"type": "context", "elements": [{"type": "mrkdwn", "text": shown}]}


def _label(text: str) -> dict[str, Any]:
    if not text or _MARKS & set(text):
        return _plain(text or "-", _LABEL_CHARS)
    return {"type": "mrkdwn", "text": f"*{_escape(_cut(text, _LABEL_CHARS))}*"}


def _section(text: str, chars: int = _SECTION_CHARS) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text or "-", chars)}


def _plain(text: str, chars: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _cut(text, chars), "emoji": False}


def _escape(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text#escaping
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, chars: int) -> str:
    """The text, or its beginning and `…`; counted as UTF-16, as the larger of what a limit may mean."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * chars:
        return text
    return units[: 2 * (chars - 1)].decode("utf-16-le", errors="ignore") + "…"
