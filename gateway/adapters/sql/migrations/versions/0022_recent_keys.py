"""New keys are written as they come, and brought into their order many at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keys that are there stay where they are; why is said in ``gateway/adapters/sql/event_keys.py``."""
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "event_key_recent",
        sa.Column("seq", position, primary_key=True, autoincrement=False),
        sa.Column("first", position, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
    )
