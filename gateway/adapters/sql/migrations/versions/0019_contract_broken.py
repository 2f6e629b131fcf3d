"""What was taken although it broke its contract: it is sent under none."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is there already it is not known."""
    op.add_column("log_entry", sa.Column("contract_broken", sa.Boolean(), nullable=True))
