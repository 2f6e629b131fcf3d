"""Alembic's entry: runs on the connection that ``gateway.adapters.sql.migrate`` hands over."""

from alembic import context
from sqlmodel import SQLModel

import gateway.adapters.sql.models  # noqa: F401 - fills the metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `letta-gateway migrate`, which knows the database")
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
