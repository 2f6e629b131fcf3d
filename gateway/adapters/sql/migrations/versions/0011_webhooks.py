"""Which subscriptions are the webhook of an agent, an organization, or all of them: one of each at most."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_IS_WEBHOOK = sa.text("webhook IS NOT NULL AND state <> 'deleted'")


def upgrade() -> None:
    """Those that were made before are ordinary subscriptions, and stay so."""
    op.add_column("subscription", sa.Column("webhook", sa.Text(), nullable=True))
    op.create_index(
        "ix_subscription_webhook",
        "subscription",
        ["organization", "webhook"],
        unique=True,
        sqlite_where=_IS_WEBHOOK,
        postgresql_where=_IS_WEBHOOK,
    )
