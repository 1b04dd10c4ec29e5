"""For on-call: what receivers note of what they sent."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("receiver", sa.String(63), primary_key=True),
        sa.Column("key", sa.String(400), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("written_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("alert_receivers_of_receiver", "alert_receivers", ["receiver", "ended_at_ms"])
