"""Bringing a database to the schema of this code, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gateway.adapters.sql.append import ensure_head
from gateway.adapters.sql.deliveries import ensure_shards
from gateway.errors import DatabaseUnusable, SchemaOutdated

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Run what is missing, in one transaction. Returns the revisions before and after.

    Raises ``SchemaOutdated`` for a database that a newer gateway has written, ``DatabaseUnusable`` for a file that
    is no database or cannot be written.
    """
    try:
        return _upgrade(engine)
    except DBAPIError as error:
        raise DatabaseUnusable(f"{engine.url.database}: {error.orig}.") from error


def _upgrade(engine: Engine) -> tuple[str | None, str]:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
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
