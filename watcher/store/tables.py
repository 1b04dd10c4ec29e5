"""The tables. Times are milliseconds since 1970 (UTC), so that they sort and compare alike on every database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

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
    sqlite_autoincrement=True,
)

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
    UniqueConstraint("event_id", "receiver", name="one_delivery_for_each_event_and_receiver"),
    Index("deliveries_in_order", "receiver", "state", "source", "instance_id", "id"),
    Index("deliveries_by_state", "state", "receiver", "next_attempt_at_ms"),
    sqlite_autoincrement=True,
)
