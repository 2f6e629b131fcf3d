"""Whether a sink agrees to be sent anything, and the callback that is open for it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No sink was asked before this."""
    op.add_column("subscription", sa.Column("consent", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("subscription", sa.Column("callback", sa.Text(), nullable=True))
    op.create_index("ix_subscription_callback", "subscription", ["callback"], unique=True)
