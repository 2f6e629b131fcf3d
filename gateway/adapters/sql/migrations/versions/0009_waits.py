"""How long the sink of a stream has asked for a pause: the next process keeps to it as well."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A note without it is of a sink that asked for none."""
    op.add_column("stream_note", sa.Column("waits_until", sa.BigInteger(), nullable=True))
