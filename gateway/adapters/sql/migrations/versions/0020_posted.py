"""What a batch has posted is found by the trace of its POST."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lead from the trace of a batch, which its id gives, to the events that it posted; no other attempt is in it."""
    is_posted = sa.text("batch IS NOT NULL")
    op.create_index(
        "ix_attempt_posted",
        "attempt",
        ["trace_id", "position", "number"],
        unique=False,
        sqlite_where=is_posted,
        postgresql_where=is_posted,
    )
