"""For on-call: what receivers note of what they sent, what is known of builds in doubt, and why there is a problem."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # For a while 0002 added these two itself: a store may have them already.
    _add_unless_there("deliveries", sa.Column("is_late", sa.Boolean, nullable=False, server_default=sa.false()))
    _add_unless_there("alert_receivers", sa.Column("ended_by", sa.String(64)))
    op.create_table(
        "notes",
        sa.Column("receiver", sa.String(63), primary_key=True),
        sa.Column("key", sa.String(400), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("written_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("alert_receivers_of_receiver", "alert_receivers", ["receiver", "ended_at_ms"])
    op.add_column("instances", sa.Column("image_before", sa.Text))
    op.add_column("instances", sa.Column("unconfirmed_at_ms", sa.BigInteger))
    op.add_column("instances", sa.Column("reason", sa.Text))
    op.add_column("instances", sa.Column("search", sa.Text))
    op.execute(_BUILDS_UNDER_WAY)


def _add_unless_there(table: str, column: sa.Column[Any]) -> None:
    if column.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


# What an earlier version saw building: while it does, the image shown may already be the new one.
_BUILDS_UNDER_WAY = """
UPDATE instances
SET image_before = CASE WHEN status = 'BUILDING' AND image_id <> '' THEN '?' || image_id ELSE image_id END
WHERE status IN ('CREATING', 'ACTIVE', 'BUILDING') AND presence <> 'deleted'
"""
