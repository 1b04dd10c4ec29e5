"""How all is, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from watcher.cli.tables import plain_text
from watcher.cli.times import age

Item = Mapping[str, Any]
_NAMED = 2
_SEVERITIES = ("critical", "warning", "info")


def headline(status: Item, sources: Sequence[Item], *, now: datetime | None) -> tuple[str, str]:
    """A colour, and what is wrong, the worst first; or that nothing is. `now`: times as ages, None: as they are."""
    wrong = [*_own(status), *_alerts(status), *_sources(sources, now=now), *_deliveries(status)]
    if not wrong:
        return "green", f"All well: {_calm(status)}."
    sentence = "; ".join(words for _, words in wrong)
    is_bad = any(is_bad for is_bad, _ in wrong)
    return "red" if is_bad else "yellow", f"{sentence[:1].upper()}{sentence[1:]}."


def _own(status: Item) -> Iterator[tuple[bool, str]]:
    """What is wrong with the watcher itself."""
    if status.get("healthy") is False:
        yield True, f"the watcher is not healthy: {_text(status.get('why_unhealthy'))}"
    configuration = _object(status.get("configuration"))
    refused, waiting = _lines(configuration.get("refused")), _lines(configuration.get("waiting"))
    if refused:
        yield False, f"the configuration file is refused, the one before goes on: {refused[0]}"
    if waiting:
        yield False, f"a restart is needed to apply {', '.join(waiting)}"
    if isinstance(status.get("why_unwell"), str):
        yield True, f"not all of the work is done: {_text(status['why_unwell'])}"
    if status.get("ready") is False:
        yield True, f"the watcher is not ready: {_text(status.get('why_not_ready'))}"


def _alerts(status: Item) -> Iterator[tuple[bool, str]]:
    by_severity = _object(status.get("alerts"))
    counts = {severity: _count(by_severity.get(severity)) for severity in _SEVERITIES}
    total = sum(counts.values())
    if total:
        told = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
        acked = _count(status.get("acknowledged"))
        more = f" ({acked} acknowledged)" if acked else ""
        verb = "alert fires" if total == 1 else "alerts fire"
        yield counts["critical"] > 0, f"{total} {verb}: {told}{more}"


def _sources(sources: Sequence[Item], *, now: datetime | None) -> Iterator[tuple[bool, str]]:
    down = [source for source in sources if source.get("state") == "down"]
    if len(down) > _NAMED:
        names = ", ".join(_text(source.get("name")) for source in down)
        yield True, f"{len(down)} of {len(sources)} sources do not answer: {names}"
    else:
        for source in down:
            since = source.get("failing_since")
            when = f"for {age(since, now)}" if now is not None else f"since {since}"
            yield True, f"source {_text(source.get('name'))} does not answer" + (f" {_text(when)}" if since else "")
    stale = sum(_count(source.get("stale")) for source in sources if source.get("state") != "down")
    if stale:
        yield False, f"{_counted(stale, 'instance')} not observed when due"


def _deliveries(status: Item) -> Iterator[tuple[bool, str]]:
    dead = _count(_object(status.get("deliveries")).get("dead"))
    if dead:
        yield False, f"{_counted(dead, 'notification')} could not be delivered (watcher deliveries --state dead)"


def _calm(status: Item) -> str:
    instances, sources = _object(status.get("instances")), _object(status.get("sources"))
    total = _count(instances.get("total"))
    if not total:
        return "no instance is watched yet"
    by_status = sorted(_object(instances.get("by_status")).items(), key=lambda each: -_count(each[1]))
    told = ", ".join(f"{_count(count)} {_text(word)}" for word, count in by_status if _count(count))
    answering = _counted(_count(sources.get("total")), "source")
    silences = _count(status.get("silences"))
    quiet = f", {_counted(silences, 'silence')} active" if silences else ""
    return f"{_counted(total, 'instance')} ({told}) of {answering}, nothing fires{quiet}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _object(value: object) -> Item:
    return value if isinstance(value, dict) else {}


def _lines(value: object) -> list[str]:
    return [_text(each) for each in value] if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _text(value: object) -> str:
    return plain_text(value if value is not None else "-")
