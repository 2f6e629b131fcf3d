"""Which command asked last for a delivery: what the owner journals of an attempt begun before must not undo it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was asked for before this step counts as seen."""
    op.add_column("pending", sa.Column("request", sa.BigInteger(), nullable=False, server_default="0"))
