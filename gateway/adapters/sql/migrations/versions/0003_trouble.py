"""What ended without success is found by state and event."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let ``ix_attempt_trouble`` lead to the deliveries in one state, the latest events first."""
    op.drop_index("ix_attempt_trouble", "attempt")
    is_trouble = sa.text("decision NOT IN ('delivered', 'failed')")
    op.create_index(
        "ix_attempt_trouble",
        "attempt",
        ["number", "decision", "position"],
        unique=False,
        sqlite_where=is_trouble,
        postgresql_where=is_trouble,
    )
