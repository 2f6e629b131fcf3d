"""Archives, the archivings that made them, and how far an erasure has come through them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of their own, and columns of a small one."""
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "archive",
        sa.Column("first", position, primary_key=True, autoincrement=False),
        sa.Column("last", position, nullable=False, unique=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("last_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kept", sa.LargeBinary(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.Column("moved_until", position, nullable=False),
    )
    op.create_table(
        "archiving",
        sa.Column("position", position, primary_key=True, autoincrement=False),
        sa.Column("until_position", position, nullable=False),
        sa.Column("cursor", position, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("archives", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
    )
    op.add_column("erasure", sa.Column("archives_until", position, nullable=False, server_default="0"))
    op.add_column("erasure", sa.Column("archives", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("erasure", sa.Column("unreachable", sa.Text(), nullable=False, server_default="[]"))
