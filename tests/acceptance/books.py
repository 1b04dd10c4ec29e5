"""What PostgreSQL itself writes down of who did what, and when: triggers, of which the watchers know nothing.

Each process says in its store's URL which life it is (`?watcher.life=3`), and so each of its connections does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import asyncpg

_TRIGGERS = """
CREATE TABLE seen_leases (at timestamptz, life int, lease text, before text, holder text, token bigint);
CREATE TABLE seen_writes (at timestamptz, life int, kind text, lease text, subject text, holder text);

CREATE FUNCTION life() RETURNS int AS $$ SELECT current_setting('watcher.life')::int $$ LANGUAGE sql;
CREATE FUNCTION holder_of(text) RETURNS text AS $$ SELECT holder FROM leases WHERE name = $1 $$ LANGUAGE sql;

CREATE FUNCTION see_lease() RETURNS trigger AS $$ BEGIN
  INSERT INTO seen_leases VALUES (clock_timestamp(), life(), NEW.name, OLD.holder, NEW.holder, NEW.token);
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER see_lease AFTER UPDATE ON leases FOR EACH ROW EXECUTE FUNCTION see_lease();

CREATE FUNCTION see_event() RETURNS trigger AS $$ BEGIN
  INSERT INTO seen_writes VALUES (
    clock_timestamp(), life(), 'event', 'source/' || NEW.source, NEW.id, holder_of('source/' || NEW.source));
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER see_event AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION see_event();

CREATE FUNCTION see_state() RETURNS trigger AS $$ BEGIN
  INSERT INTO seen_writes VALUES (
    clock_timestamp(), life(), 'state', 'source/' || NEW.source, NEW.instance_id, holder_of('source/' || NEW.source));
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER see_state AFTER INSERT OR UPDATE ON instances FOR EACH ROW EXECUTE FUNCTION see_state();

CREATE FUNCTION see_claim() RETURNS trigger AS $$ BEGIN
  INSERT INTO seen_writes VALUES (
    clock_timestamp(), life(), 'claim', 'receiver/' || NEW.receiver, NEW.event_id,
    holder_of('receiver/' || NEW.receiver));
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER see_claim AFTER UPDATE ON deliveries FOR EACH ROW
  WHEN (NEW.claimed_by IS NOT NULL AND OLD.claimed_by IS DISTINCT FROM NEW.claimed_by) EXECUTE FUNCTION see_claim();

CREATE FUNCTION see_record() RETURNS trigger AS $$ BEGIN
  INSERT INTO seen_writes VALUES (
    clock_timestamp(), life(), 'record', 'receiver/' || NEW.receiver, NEW.event_id,
    split_part(OLD.claimed_by, '/', 1));
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER see_record AFTER UPDATE ON deliveries FOR EACH ROW
  WHEN (NEW.attempts <> OLD.attempts OR NEW.state <> OLD.state) EXECUTE FUNCTION see_record();
"""

_ALIVE = "SELECT id FROM replicas WHERE expires_at_ms > extract(epoch FROM clock_timestamp()) * 1000"


@dataclass(frozen=True)
class Lease:
    """That a lease changed hands, by a process of that life: `before` and `holder` are ids of replicas, or None."""

    at: datetime
    life: int
    name: str
    before: str | None
    holder: str | None
    token: int


@dataclass(frozen=True)
class Write:
    """An `event` or a `state` that was written, a delivery that was claimed (`claim`), or how its try ended (`record`).

    `subject` is the id of the event, or of the instance. `holder` is who held the lease of its source or receiver then;
    of a record, who had claimed the delivery.
    """

    at: datetime
    life: int
    kind: str
    lease: str
    subject: str
    holder: str | None


@dataclass(frozen=True)
class Present:
    """Who is there, by its beats, and who holds what; how many instances are known; what is pending, and claimed."""

    replicas: frozenset[str]
    holders: dict[str, str]
    known: int
    pending: int
    claimed: int


class Books:
    """The books of one database. Each look is a connection of its own: the server may have been away meanwhile."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        """Begin to write down; the tables must be there."""
        await self._ask("execute", _TRIGGERS)

    async def leases(self) -> list[Lease]:
        """How leases changed hands, in order."""
        return [Lease(*row) for row in await self._ask("fetch", "SELECT * FROM seen_leases ORDER BY at")]

    async def writes(self) -> list[Write]:
        """What was written, in order."""
        return [Write(*row) for row in await self._ask("fetch", "SELECT * FROM seen_writes ORDER BY at")]

    async def present(self) -> Present:
        """What is now."""
        waiting = "SELECT count(*) FILTER (WHERE state = 'pending'), count(claimed_by) FROM deliveries"
        [counts] = await self._ask("fetch", waiting)
        [known] = await self._ask("fetch", "SELECT count(*) FROM instances")
        return Present(
            replicas=frozenset(row[0] for row in await self._ask("fetch", _ALIVE)),
            holders=dict(await self._ask("fetch", "SELECT name, holder FROM leases WHERE holder IS NOT NULL")),
            known=known[0],
            pending=counts[0],
            claimed=counts[1],
        )

    async def _ask(self, method: str, statement: str) -> Any:
        connection = await asyncpg.connect(self._url)
        try:
            return await getattr(connection, method)(statement)
        finally:
            await connection.close()


class Tenure:
    """Who held what when, by life."""

    def __init__(self, changes: Sequence[Lease]) -> None:
        self.life_of = {change.holder: change.life for change in changes if change.holder is not None}
        """Of each replica's id the life of its process: a lease is taken only by whoever is to hold it."""
        self._changes: dict[str, list[Lease]] = {}
        for change in changes:
            if change.before != change.holder:
                self._changes.setdefault(change.name, []).append(change)

    def held_by(self, life: int, at: datetime) -> list[str]:
        """What a process held then."""
        last = {name: [each for each in changes if each.at <= at][-1:] for name, changes in self._changes.items()}
        held = {name: found[0].holder for name, found in last.items() if found}
        return [name for name, holder in held.items() if holder is not None and self.life_of[holder] == life]

    def next(self, name: str, *, after: datetime) -> tuple[Lease, Lease] | None:
        """When it was free then, and when somebody held it."""
        later = [each for each in self._changes[name] if each.at > after]
        return next(((freed, taken) for freed, taken in pairwise(later) if freed.holder is None), None)

    def lost(self, name: str, life: int, at: datetime) -> datetime | None:
        """Since when a process does not hold a lease that it held, None when it does."""
        lost: datetime | None = datetime.min.replace(tzinfo=at.tzinfo)
        for change in self._changes[name]:
            if change.at > at:
                break
            if change.holder is not None and self.life_of[change.holder] == life:
                lost = None
            elif lost is None:
                lost = change.at
        return lost

    def takes(self, name: str) -> int:
        """How often it was taken."""
        return sum(change.holder is not None for change in self._changes[name])

    def is_loss(self, change: Lease) -> bool:
        """Whether it was taken from its holder, and not given."""
        return change.before is not None and self.life_of[change.before] != change.life

    def changes(self, *, after: datetime, before: datetime) -> Iterable[Lease]:
        """What changed hands in that time."""
        return (each for changes in self._changes.values() for each in changes if after < each.at < before)


def check_writes(writes: Iterable[Write], tenure: Tenure) -> None:
    """Nobody wrote what was not its own to write any more, be it never so late."""
    for write in writes:
        assert write.holder is not None, f"nobody's: {write}"
        assert tenure.life_of[write.holder] == write.life, f"life {tenure.life_of[write.holder]} had it: {write}"
