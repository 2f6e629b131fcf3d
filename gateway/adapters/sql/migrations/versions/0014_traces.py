"""When Redis had an event, and in which trace the attempt before was made: what a trace is told from."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is there already, neither is known."""
    op.add_column("log_entry", sa.Column("published_at", sa.BigInteger(), nullable=True))
    op.add_column("pending", sa.Column("last_trace_id", sa.Text(), nullable=True))
