"""Indexes on texts, as ``gateway/adapters/sql/texts.py`` describes them, for migrations.

What a migration did stays what it did: this file does not follow the models.
"""

import sqlalchemy as sa
from alembic import op

_START_CHARS = 512


def create_text_index(name: str, table: str, column: str, *further: str) -> None:
    """Make the index of this database: on the whole text, or in PostgreSQL on its beginning."""
    if op.get_bind().dialect.name == "postgresql":
        start = sa.text(f'"left"({column}, {_START_CHARS})')
        op.create_index(f"{name}_start", table, [start, *further])
    else:
        op.create_index(name, table, [column, *further])
