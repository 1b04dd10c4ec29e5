"""The tables. Times are milliseconds since 1970 (UTC), so that they sort and compare alike on every database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    text,
    true,
)

metadata = MetaData()

# SQLite counts up by itself only on a plain INTEGER primary key.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

instances = Table(
    "instances",
    metadata,
    Column("source", String(63), primary_key=True),
    Column("instance_id", String(255), primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", Text),
    Column("image_id", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False),
    Column("presence", String(16), nullable=False),
    Column("alerts", Text, nullable=False),
    Column("image_source", Text, nullable=False, server_default=""),
    Column("told_at_ms", BigInteger),
    Column("changed_at_ms", Text, nullable=False, server_default="[]"),
    Column("flaps", Integer, nullable=False, server_default="0"),
    Column("image_before", Text),
    Column("unconfirmed_at_ms", BigInteger),
    Column("reason", Text),
    Column("search", Text),
)

events = Table(
    "events",
    metadata,
    Column("position", _ROW_ID, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("source", String(63), nullable=False),
    Column("instance_id", String(255), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("events_of_instance", "source", "instance_id", "position"),
    Index("events_by_time", "observed_at_ms"),
    sqlite_autoincrement=True,
)

# In these words so that what is asked in them, too (`is_waiting`), is looked for in these indexes and in no others.
# Planners go by how many were pending when they last counted: none, at rest, and then any index seems as good.
_WAITS = text("state || '' = 'pending'")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("event_id", String(64), ForeignKey("events.id"), nullable=False),
    Column("receiver", String(63), nullable=False),
    Column("source", String(63), nullable=False),
    Column("instance_id", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("next_attempt_at_ms", BigInteger, nullable=False),
    Column("finished_at_ms", BigInteger),
    Column("last_reason", String(32)),
    Column("last_answer", Text),
    Column("is_routed", Boolean, nullable=False, server_default=true()),
    Column("queued_at_ms", BigInteger, nullable=False, server_default="0"),
    Column("digest_id", String(64)),
    Column("held_by", Text),
    Column("size", Integer, nullable=False, server_default="0"),
    Column("is_late", Boolean, nullable=False, server_default=false()),
    Column("claimed_by", String(100)),
    UniqueConstraint("event_id", "receiver", name="one_delivery_for_each_event_and_receiver"),
    Index("deliveries_by_state", "state", "receiver", "next_attempt_at_ms"),
    Index("deliveries_oldest_first", "receiver", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index(
        "deliveries_in_order", "receiver", "source", "instance_id", "id", sqlite_where=_WAITS, postgresql_where=_WAITS
    ),
    Index("deliveries_of_digest", "digest_id"),
    Index(
        "deliveries_claimed",
        "claimed_by",
        sqlite_where=text("claimed_by IS NOT NULL"),
        postgresql_where=text("claimed_by IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)


def is_waiting(table: FromClause) -> ColumnElement[bool]:
    """Whether a delivery is pending, for those who ask for the oldest of many."""
    return table.c.state + literal_column("''") == literal_column("'pending'")


# Which receivers are to be told of an alert (one that began at that time), which event said so last, and whether they
# were; and by which event it ended.
alert_receivers = Table(
    "alert_receivers",
    metadata,
    Column("fingerprint", String(32), primary_key=True),
    Column("starts_at_ms", BigInteger, primary_key=True),
    Column("receiver", String(63), primary_key=True),
    Column("event_id", String(64), nullable=False),
    Column("told_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("ended_by", String(64)),
    Index("alert_receivers_by_event", "event_id", "receiver"),
    Index("alert_receivers_of_receiver", "receiver", "ended_at_ms"),
    Index(
        "alert_receivers_ended",
        "ended_at_ms",
        sqlite_where=text("ended_at_ms IS NOT NULL"),
        postgresql_where=text("ended_at_ms IS NOT NULL"),
    ),
)

# What receivers have to remember of what they sent.
notes = Table(
    "notes",
    metadata,
    Column("receiver", String(63), primary_key=True),
    Column("key", String(400), primary_key=True),
    Column("text", Text, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    Index("notes_by_time", "written_at_ms"),
)

steps = Table(
    "steps",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("source", String(63), nullable=False),
    Column("image_source", Text, nullable=False),
    Column("status", String(64), nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Index("steps_of_source", "source", "image_source", "status", "id"),
    sqlite_autoincrement=True,
)

silences = Table(
    "silences",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("match", Text, nullable=False),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("fingerprint", String(32), primary_key=True),
    Column("starts_at_ms", BigInteger, primary_key=True),
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Who shares the work. While its row is there, all that a replica holds and sends is its own; whoever finds it expired
# deletes it, and with it all that. `configured` is what its configuration names, as JSON.
replicas = Table(
    "replicas",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("is_draining", Boolean, nullable=False, server_default=false()),
    Column("configured", Text, nullable=False),
    Column("unwell", Text),
    Column("sessions", Text, nullable=False),
)

# Who holds what: `source/NAME` or `receiver/NAME`. The token is another for each time that it is taken.
leases = Table(
    "leases",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("holder", String(64), ForeignKey("replicas.id", ondelete="SET NULL")),
    Column("token", BigInteger, nullable=False, server_default="0"),
    Index("leases_of_holder", "holder"),
)

# What the holder of a source, by this token, tells the other replicas of it.
source_reports = Table(
    "source_reports",
    metadata,
    Column("source", String(63), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
)
