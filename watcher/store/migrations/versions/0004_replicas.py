"""Several replicas on one store: who is there, who holds what, what holders tell of their sources, who sends what."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("is_draining", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("configured", sa.Text, nullable=False),
        sa.Column("unwell", sa.Text),
        sa.Column("sessions", sa.Text, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("holder", sa.String(64), sa.ForeignKey("replicas.id", ondelete="SET NULL")),
        sa.Column("token", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index("leases_of_holder", "leases", ["holder"])
    op.create_table(
        "source_reports",
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("written_at_ms", sa.BigInteger, nullable=False),
    )
    op.add_column("deliveries", sa.Column("claimed_by", sa.String(100)))
    claimed = sa.text("claimed_by IS NOT NULL")
    op.create_index("deliveries_claimed", "deliveries", ["claimed_by"], sqlite_where=claimed, postgresql_where=claimed)
    ended = sa.text("ended_at_ms IS NOT NULL")
    op.create_index(
        "alert_receivers_ended", "alert_receivers", ["ended_at_ms"], sqlite_where=ended, postgresql_where=ended
    )
    op.create_index("notes_by_time", "notes", ["written_at_ms"])
    waits = sa.text("state || '' = 'pending'")
    for name, columns in {
        "deliveries_oldest_first": ["receiver", "id"],
        "deliveries_in_order": ["receiver", "source", "instance_id", "id"],
    }.items():
        op.drop_index(name, "deliveries")
        op.create_index(name, "deliveries", columns, sqlite_where=waits, postgresql_where=waits)
