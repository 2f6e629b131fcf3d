"""What a resume from now has left out of a stream, kept with its subscription."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Earlier ones are in the facts alone; `letta-gateway rebuild` brings them here."""
    op.add_column("subscription", sa.Column("skips", sa.Text(), nullable=False, server_default="[]"))
