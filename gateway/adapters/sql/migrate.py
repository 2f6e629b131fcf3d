"""Bringing a database to the schema of this code, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from gateway.adapters.sql.append import ensure_head
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.deliveries import ensure_shards
from gateway.adapters.sql.models import LogHead
from gateway.errors import DatabaseUnusable, SchemaOutdated, Unavailable

_SCRIPTS = Path(__file__).parent / "migrations"


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Run what is missing, in one transaction. Returns the revisions before and after.

    Raises ``SchemaOutdated`` for a database that a newer gateway has written, ``DatabaseUnusable`` for one that
    is none or cannot be written.
    """
    try:
        return await database.alter(_upgrade)
    except Unavailable as error:
        cause = error.__cause__
        reason = cause.orig if isinstance(cause, DBAPIError) else error.detail.rstrip(".")
        raise DatabaseUnusable(f"{database.name}: {reason}.") from error


async def has_log(database: Database) -> bool:
    """Whether a gateway has made its tables there."""
    return await database.read(lambda connection: inspect(connection).has_table(str(LogHead.__tablename__)))


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    before = MigrationContext.configure(connection).get_current_revision()
    if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaOutdated(f"The database has the schema {before}, which this version does not know.")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    _seed(connection)
    after = MigrationContext.configure(connection).get_current_revision()
    return before, after or ""


def _seed(connection: Connection) -> None:
    ensure_head(connection)
    ensure_shards(connection)
