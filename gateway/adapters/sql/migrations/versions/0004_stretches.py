"""Indexes of the log by stretches of 2,048 positions, so that an append costs the same however long the log is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = {
    "ix_log_organization": "organization",
    "ix_log_agent": "agent_id",
    "ix_log_source": "source",
    "ix_log_subject": "subject",
    "ix_log_run": "run_id",
    "ix_log_trace": "trace_id",
    "ix_log_key": "partition_key",
}


def upgrade() -> None:
    """Make them anew; why is said in ``gateway/adapters/sql/stretches.py``."""
    stretch = sa.text("(position >> 11)")
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, column in _COLUMNS.items():
        if postgresql:
            before = name if name == "ix_log_trace" else f"{name}_start"
            op.drop_index(before, "log_entry")
            start = sa.text(f'"left"({column}, 512)')
            op.create_index(f"{name}_start", "log_entry", [stretch, start, "position"])
        else:
            op.drop_index(name, "log_entry")
            op.create_index(name, "log_entry", [stretch, column])
