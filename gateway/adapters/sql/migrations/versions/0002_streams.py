"""Replays, notes on failing streams, partition keys, batches, retries by hand."""

import sqlalchemy as sa
from alembic import op

from gateway.adapters.sql.migrations.texts import create_text_index

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns and tables; what each one holds is said in ``gateway/adapters/sql/models.py``."""
    op.add_column("log_entry", sa.Column("partition_key", sa.Text(), nullable=True))
    has_key = sa.text("partition_key IS NOT NULL")
    create_text_index("ix_log_key", "log_entry", "partition_key", "position")
    op.add_column("attempt", sa.Column("batch", sa.Text(), nullable=True))
    op.add_column("attempt", sa.Column("replay", _NUMBER, nullable=True))
    op.add_column("pending", sa.Column("replay", _NUMBER, nullable=True))
    op.add_column("pending", sa.Column("batch", sa.Text(), nullable=True))
    op.add_column("pending", sa.Column("batch_size", sa.Integer(), nullable=True))
    op.add_column("pending", sa.Column("asked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_pending_head",
        "pending",
        ["number", "position"],
        unique=False,
        sqlite_where=has_key,
        postgresql_where=has_key,
    )
    is_replayed = sa.text("replay IS NOT NULL")
    op.create_index(
        "ix_pending_replay",
        "pending",
        ["replay"],
        unique=False,
        sqlite_where=is_replayed,
        postgresql_where=is_replayed,
    )
    op.create_table(
        "replay",
        sa.Column("replay", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("from_position", _NUMBER, nullable=False),
        sa.Column("until_position", _NUMBER, nullable=False),
        sa.Column("only_failed", sa.Boolean(), nullable=False),
        sa.Column("attempts_until", sa.BigInteger(), nullable=False),
        sa.Column("cursor", _NUMBER, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("replay"),
    )
    op.create_index(op.f("ix_replay_number"), "replay", ["number"], unique=False)
    op.create_table(
        "stream_note",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_at", sa.BigInteger(), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
