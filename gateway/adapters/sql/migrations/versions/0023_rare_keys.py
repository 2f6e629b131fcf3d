"""The log's index of keys has the rows that have a key of their own: few do."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it anew on SQLite, which writes an entry for each row, be there a key or none."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_log_key", "log_entry")
        has_key = sa.text("partition_key IS NOT NULL")
        op.create_index(
            "ix_log_key", "log_entry", [sa.text("(position >> 11)"), "partition_key"], sqlite_where=has_key
        )
