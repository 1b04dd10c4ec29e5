"""The first tables: instances, events, deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "instances",
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("instance_id", sa.String(255), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("observed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("presence", sa.String(16), nullable=False),
        sa.Column("alerts", sa.Text, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("position", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("instance_id", sa.String(255), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("observed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_instance", "events", ["source", "instance_id", "position"])
    op.create_table(
        "deliveries",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(64), sa.ForeignKey("events.id"), nullable=False),
        sa.Column("receiver", sa.String(63), nullable=False),
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("instance_id", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger),
        sa.Column("last_reason", sa.String(32)),
        sa.Column("last_answer", sa.Text),
        sa.UniqueConstraint("event_id", "receiver", name="one_delivery_for_each_event_and_receiver"),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_in_order", "deliveries", ["receiver", "state", "source", "instance_id", "id"])
    op.create_index("deliveries_by_state", "deliveries", ["state", "receiver", "next_attempt_at_ms"])
