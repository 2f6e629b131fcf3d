"""What is open in quarantine, found among what was taken out of it."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An index alone."""
    op.create_index("ix_quarantine_state", "quarantine", ["state", "received_at", "id"])
