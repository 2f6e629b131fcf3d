"""How a delivery came to its stream outlives the process: what is read from further back is late for being old."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is pending already, it is not known."""
    op.add_column("pending", sa.Column("caught_up", sa.Boolean(), nullable=False, server_default=sa.false()))
