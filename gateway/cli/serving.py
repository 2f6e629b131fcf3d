"""`dev` and `serve`: the gateway itself, in the foreground."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from gateway.adapters.development import token_path, with_development_secrets
from gateway.adapters.lockfile import try_lock
from gateway.adapters.logs import Style, configure
from gateway.cli.endpoint import (
    DEFAULT_DATA_DIR,
    Endpoint,
    read_endpoint,
    remove_endpoint,
    without_password,
    write_endpoint,
)
from gateway.cli.interrupts import until_interrupted
from gateway.cli.memory import settle_collector
from gateway.cli.options import AsJson
from gateway.cli.output import print_details, print_record, results, say
from gateway.errors import DataDirInUse
from gateway.settings import Fault, Settings, SettingsError, check_bind, load_settings, unknown_names
from otel.redaction import Redaction
from otel.secrets import secrets_of

_LOGGER = logging.getLogger(__name__)


class Role(StrEnum):
    """What one process of a deployment does."""

    ALL = "all"
    INGEST = "ingest"
    DELIVER = "deliver"
    API = "api"


DataDirHere = Annotated[Path, typer.Option("--data-dir", help="Keep everything in this directory.")]


def dev(
    *,
    host: Annotated[str, typer.Option("--host", help="Serve the API on this address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Serve the API on this port; 0 takes a free one.")
    ] = 8080,
    data_dir: DataDirHere = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Run everything in one process, with nothing to set up: Redis, log, ingest, delivery, API.

    It writes only under the data directory; started again, it goes on where it was. Settings of the
    environment hold here as well.
    """
    settings = load_settings()
    announce = _announce_json if as_json else _announce
    _foreground(_Run(settings, Role.ALL, host, port, data_dir, announce))


def serve(
    *,
    role: Annotated[Role, typer.Option("--role", help="What this process does.")] = Role.ALL,
    host: Annotated[str, typer.Option("--host", help="Serve HTTP on this address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Serve HTTP on this port; 0 takes a free one.")
    ] = 8080,
    data_dir: DataDirHere = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Run one process of a deployment; GATEWAY_ENV must be given."""
    if not os.environ.get("GATEWAY_ENV"):
        raise SettingsError([Fault("GATEWAY_ENV", "`serve` wants it given: `development` or `production`")])
    settings = load_settings()
    announce = _announce_url_json if as_json else _announce_url
    _foreground(_Run(settings, role, host, port, data_dir, announce))


@dataclass(frozen=True, slots=True)
class _Run:
    """One process in the foreground, as it was asked for."""

    settings: Settings
    role: Role
    host: str
    port: int
    data_dir: Path
    announce: Callable[[Endpoint, str, Path], None]

    @property
    def log_style(self) -> Style:
        """How its log is written."""
        return self.settings.log_format or ("json" if self.settings.production else "text")

    def tell(self, text: str, level: int = logging.INFO) -> None:
        """Say something to whoever looks at it: as a line of the log where machines read that."""
        if self.log_style == "json":
            _LOGGER.log(level, "%s", text)
        else:
            say(text)

    @property
    def has_api(self) -> bool:
        return self.role in {Role.ALL, Role.API}


def _foreground(asked: _Run) -> None:
    """Run until asked to end; the data directory is this process's own for as long as it has the lock."""
    check_bind(asked.settings, asked.host)
    asked.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _sole_owner(asked.data_dir) if asked.role is Role.ALL else contextlib.nullcontext():
        settings = with_development_secrets(asked.settings, asked.data_dir)
        configure(asked.log_style, settings.log_level, redaction_of(settings, os.environ))
        for name in unknown_names():
            asked.tell(f"Warning: there is no setting {name}; it is ignored.", logging.WARNING)
        try:
            anyio.run(_run, replace(asked, settings=settings), backend_options={"use_uvloop": True})
        finally:
            if asked.has_api:
                remove_endpoint(asked.data_dir, os.getpid())


async def _run(asked: _Run) -> None:
    from gateway import app, parts  # noqa: PLC0415 - slow to load, and other commands start without it

    def on_ready(running: parts.Running) -> None:
        token = asked.settings.api_token.get_secret_value() if asked.settings.api_token else ""
        endpoint = Endpoint(
            url=running.url,
            redis_url=running.redis_url,
            stream=running.stream,
            pid=os.getpid(),
            token_file=_file_with(token, asked.data_dir),
        )
        settle_collector()
        if asked.has_api:
            write_endpoint(asked.data_dir, endpoint)
        if asked.announce is _announce:
            asked.tell("letta-gateway is ready. Ctrl-C ends it.")
        asked.announce(endpoint, token, asked.data_dir)

    await until_interrupted(
        app.run(
            asked.settings,
            role=asked.role.value,
            host=asked.host,
            port=asked.port,
            data_dir=asked.data_dir,
            on_ready=on_ready,
            on_waiting=asked.tell,
        )
    )


def _file_with(token: str, data_dir: Path) -> str | None:
    path = token_path(data_dir)
    kept = path.exists() and path.read_text(encoding="ascii").strip() == token
    return str(path.resolve()) if kept else None


@contextlib.contextmanager
def _sole_owner(data_dir: Path) -> Iterator[None]:
    lock = try_lock(data_dir / "lock")
    if lock is None:
        holder = read_endpoint(data_dir)
        who = f"process {holder.pid}, at {holder.url}" if holder else "a gateway that is starting or ending"
        raise DataDirInUse(f"{data_dir} is in use by {who}.")
    try:
        yield
    finally:
        os.close(lock)


def redaction_of(settings: Settings, environ: Mapping[str, str]) -> Redaction:
    """What takes out of the log the secrets that are known: ours, and those that OpenTelemetry is given."""
    return Redaction((*settings.secrets, *secrets_of(environ)))


def _announce(endpoint: Endpoint, token: str, data_dir: Path) -> None:
    redis_url = without_password(endpoint.redis_url or "")
    kept = f"   (also in {data_dir / 'token'})" if endpoint.token_file else ""
    print_details(
        [
            ("API", endpoint.url),
            ("Redis", f"{redis_url}   (for the emitter)"),
            ("stream", endpoint.stream),
            ("token", token + kept),
        ]
    )
    where = "" if data_dir == DEFAULT_DATA_DIR else f" --data-dir {data_dir}"
    emitter = f"LETTA_EMITTER_ENABLED=true LETTA_EMITTER_REDIS_URL={redis_url}"
    lines = (
        "",
        "Next, in other terminals:",
        # In this order: without the secret that the first one shows, the second verifies nothing.
        f"  letta-gateway subscriptions create{where} --sink http://127.0.0.1:9000/",
        "  letta-gateway listen --port 9000 --secret whsec_…",
        f"  letta-gateway tail{where}",
        f"  {emitter} letta-emitter run -- letta server",
    )
    results().print("\n".join(lines), soft_wrap=True)
    sys.stdout.flush()


def _announce_json(endpoint: Endpoint, token: str, data_dir: Path) -> None:
    print_record(_record(endpoint, data_dir) | {"token": token})


def _announce_url(endpoint: Endpoint, _token: str, _data_dir: Path) -> None:
    results().print(f"Serving {endpoint.url}", soft_wrap=True)
    sys.stdout.flush()


def _announce_url_json(endpoint: Endpoint, _token: str, data_dir: Path) -> None:
    print_record(_record(endpoint, data_dir))


def _record(endpoint: Endpoint, data_dir: Path) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "redis_url": without_password(endpoint.redis_url or ""),
        "stream": endpoint.stream,
        "data_dir": str(data_dir.resolve()),
        "pid": endpoint.pid,
    }
