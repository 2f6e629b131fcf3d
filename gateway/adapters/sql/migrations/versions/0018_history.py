"""Deliveries of all subscriptions are listed in order: by event and subscription, and by state."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the indexes by position tell the subscriptions apart, and one lead to what ended without success."""
    for table in ("pending", "attempt"):
        op.drop_index(f"ix_{table}_position", table)
        op.create_index(f"ix_{table}_position", table, ["position", "number"], unique=False)
    is_trouble = sa.text("decision NOT IN ('delivered', 'failed')")
    op.create_index(
        "ix_attempt_undelivered",
        "attempt",
        ["decision", "position", "number"],
        unique=False,
        sqlite_where=is_trouble,
        postgresql_where=is_trouble,
    )
