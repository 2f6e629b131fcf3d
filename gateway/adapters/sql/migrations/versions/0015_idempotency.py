"""By which key a subscription was made, for a day; the answer lies sealed in the vault."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table of its own."""
    op.create_table(
        "idempotency_key",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_idempotency_until", "idempotency_key", ["until"])
    op.create_index("ix_idempotency_subscription", "idempotency_key", ["subscription"])
