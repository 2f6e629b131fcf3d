"""`migrate`, `verify-log` and `rebuild`: the commands that open the database themselves."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import anyio
import typer

from gateway.adapters.development import secret_keys_path, with_development_secrets
from gateway.cli.endpoint import DEFAULT_DATA_DIR
from gateway.cli.options import AsJson
from gateway.cli.output import print_record, results
from gateway.cli.progress import counting
from gateway.errors import CheckFailed, UsageError
from gateway.settings import load_settings

DatabaseDir = Annotated[
    Path, typer.Option("--data-dir", help="The data directory, where GATEWAY_DATABASE_URL names no database.")
]


def migrate(data_dir: DatabaseDir = DEFAULT_DATA_DIR) -> None:
    """Bring the database to the current schema; nothing else may have it open."""
    from gateway import app  # noqa: PLC0415 - slow to load, and other commands start without it

    anyio.run(app.migrate, load_settings(), data_dir)
    results().print("The database has the current schema.")


def verify_log(
    *,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive", metavar="DIR", help="Verify what was archived as well, by its files in this folder."
        ),
    ] = None,
    data_dir: DatabaseDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Follow the hash chain of the log from first to last; exits 1 naming the first bad position.

    What was archived is vouched for by the facts that say so, unless its files are given with --archive.
    """
    from gateway import app  # noqa: PLC0415 - slow to load, and other commands start without it

    if archive is not None and not archive.is_dir():
        raise UsageError(f"{archive} is not a folder.")
    with counting("verified") as progress:
        result = anyio.run(app.verify_log, load_settings(), data_dir, progress, archive)
    if as_json:
        print_record(
            {
                "ok": result.ok,
                "checked": result.checked,
                "first_bad": result.first_bad,
                "reason": result.reason,
                "erased": result.erased,
                "archived": result.archived,
            }
        )
    elif result.ok:
        erased = f", {result.erased} of them erased" if result.erased else ""
        files = "and their files sound" if archive else "as the log says: their files were not read"
        archived = f", {result.archived} of them archived, {files}" if result.archived else ""
        results().print(
            f"The log is sound: {result.checked} positions, first to last{erased}{archived}.", soft_wrap=True
        )
    if not result.ok:
        raise CheckFailed(
            f"The log does not verify: position {result.first_bad} is the first bad one ({result.reason})."
        )


def rebuild(*, data_dir: DatabaseDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Derive subscriptions, cursors and pending deliveries again from the log and the attempts.

    Nothing else may have the database open. All or nothing: where log, attempts and vault do not fit together, it
    says where, and nothing is changed.
    """
    from gateway import app  # noqa: PLC0415 - slow to load, and other commands start without it

    settings = load_settings()
    if secret_keys_path(data_dir).exists():
        settings = with_development_secrets(settings, data_dir)
    with counting("read") as progress:
        found = anyio.run(app.rebuild, settings, data_dir, progress)
    if as_json:
        print_record(asdict(found))
        return
    results().print(
        f"Rebuilt from {found.positions} positions: {found.subscriptions} subscriptions, {found.deleted} of them "
        f"deleted, {found.pending} pending deliveries, {found.replays} replays.",
        soft_wrap=True,
    )
