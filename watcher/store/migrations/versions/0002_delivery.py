"""Told exactly: who was told of which alert, digests, silences, acknowledgements, and what is learned from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("instances", sa.Column("image_source", sa.Text, nullable=False, server_default=""))
    op.add_column("instances", sa.Column("told_at_ms", sa.BigInteger))
    op.add_column("instances", sa.Column("changed_at_ms", sa.Text, nullable=False, server_default="[]"))
    op.add_column("instances", sa.Column("flaps", sa.Integer, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("is_routed", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("deliveries", sa.Column("queued_at_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("digest_id", sa.String(64)))
    op.add_column("deliveries", sa.Column("held_by", sa.Text))
    op.add_column("deliveries", sa.Column("size", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE deliveries SET queued_at_ms = created_at_ms")
    op.create_index("events_by_time", "events", ["observed_at_ms"])
    op.create_index("deliveries_oldest_first", "deliveries", ["receiver", "state", "id"])
    op.create_index("deliveries_of_digest", "deliveries", ["digest_id"])
    op.create_table(
        "alert_receivers",
        sa.Column("fingerprint", sa.String(32), primary_key=True),
        sa.Column("starts_at_ms", sa.BigInteger, primary_key=True),
        sa.Column("receiver", sa.String(63), primary_key=True),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("told_at_ms", sa.BigInteger),
        sa.Column("ended_at_ms", sa.BigInteger),
    )
    op.create_index("alert_receivers_by_event", "alert_receivers", ["event_id", "receiver"])
    op.create_table(
        "steps",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("image_source", sa.Text, nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("steps_of_source", "steps", ["source", "image_source", "status", "id"])
    op.create_table(
        "silences",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("match", sa.Text, nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "acknowledgements",
        sa.Column("fingerprint", sa.String(32), primary_key=True),
        sa.Column("starts_at_ms", sa.BigInteger, primary_key=True),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_WHO_WAS_TOLD)


# Only on SQLite are there stores of an earlier version: whoever was told of what fires there is to be told of its end.
_WHO_WAS_TOLD = """
INSERT INTO alert_receivers (fingerprint, starts_at_ms, receiver, event_id, told_at_ms)
SELECT json_extract(alert.value, '$.fingerprint'), events.observed_at_ms, deliveries.receiver, events.id,
       CASE deliveries.state WHEN 'delivered' THEN deliveries.finished_at_ms END
FROM instances, json_each(instances.alerts) AS alert
JOIN events ON events.source = instances.source AND events.instance_id = instances.instance_id
JOIN json_each(json_extract(events.body, '$.alerts')) AS told
  ON json_extract(told.value, '$.fingerprint') = json_extract(alert.value, '$.fingerprint')
 AND json_extract(told.value, '$.starts_at') = json_extract(alert.value, '$.starts_at')
JOIN deliveries ON deliveries.event_id = events.id
"""
