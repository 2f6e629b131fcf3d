"""How a command finds a running gateway: `gateway.json` in the data directory, or the environment.

A gateway writes the file when it is ready and removes it when it ends; it is readable by its owner alone. The
token itself is never in it, only the path of the file that holds it.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.errors import DataDirUnusable, NoServer, UsageError

DEFAULT_DATA_DIR = Path(".gateway")
_FILE = "gateway.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a running gateway says about itself.

    Attributes:
        url: The base of its HTTP API.
        redis_url: The Redis for the emitter; None for a process that has none.
        stream: The Redis stream that it reads.
        pid: Its process id.
        token_file: The file with the administrator token; None where the environment gave it.
    """

    url: str
    redis_url: str | None = field(repr=False)
    stream: str
    pid: int
    token_file: str | None


@dataclass(frozen=True, slots=True)
class Connection:
    """A gateway's address and a token for it; `origin` says in words where both came from."""

    url: str
    token: str = field(repr=False)
    origin: str


def without_password(url: str) -> str:
    """A Redis URL as it may be printed: whoever set one with a password has it."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    kept = f"{user}{colon}{'***' if colon else ''}{at}{place}" if at else rest
    address, mark, query = kept.partition("?")
    shown = "&".join("password=***" if part.startswith("password=") else part for part in query.split("&"))
    return f"{scheme}{separator}{address}{mark}{shown}"


def write_endpoint(data_dir: Path, endpoint: Endpoint) -> None:
    """Publish a running gateway's endpoint, whole or not at all; raises OSError."""
    descriptor, aside = tempfile.mkstemp(prefix=".gateway-", dir=data_dir)  # mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(endpoint), file)
    Path(aside).replace(data_dir / _FILE)


def remove_endpoint(data_dir: Path, pid: int) -> None:
    """Take the endpoint back at the end of a run; another process's is left as it is."""
    with contextlib.suppress(DataDirUnusable):
        known = read_endpoint(data_dir)
        if known is not None and known.pid == pid:
            (data_dir / _FILE).unlink(missing_ok=True)


def read_endpoint(data_dir: Path) -> Endpoint | None:
    """The endpoint of the gateway that runs, or was killed, on this data directory.

    Raises:
        DataDirUnusable: There is a file and it cannot be read, or is not one of ours.
    """
    path = data_dir / _FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Endpoint(
            url=str(said["url"]),
            redis_url=said["redis_url"],
            stream=str(said["stream"]),
            pid=int(said["pid"]),
            token_file=said["token_file"],
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirUnusable(f"{path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataDirUnusable(f"{path} is not a file that a gateway wrote.") from error


def resolve(
    data_dir: Path | None, environ: Mapping[str, str] | None = None, *, token_needed: bool = True
) -> Connection:
    """Find the gateway to speak to: on `data_dir` where given, else at GATEWAY_URL, else on the default one.

    A token in GATEWAY_API_TOKEN goes before the one in the data directory. Where none is needed and there is none, it
    is empty.

    Raises:
        NoServer: No gateway runs on the data directory.
        UsageError: The address is not an HTTP URL, or there is no token for it and one is needed.
    """
    environ = os.environ if environ is None else environ
    # An environment file with Windows' line ends leaves one behind the value.
    token = environ.get("GATEWAY_API_TOKEN", "").strip()
    if not (token.isascii() and (token.isprintable() or not token)) or " " in token:
        raise UsageError(
            "GATEWAY_API_TOKEN holds a character that no token has: a space, a line end, or not ASCII."
        )
    if data_dir is None and (url := environ.get("GATEWAY_URL")):
        if not is_http(url):
            raise UsageError(
                "GATEWAY_URL must be an http:// or https:// URL, and its port, if any, one from 1 to 65535."
            )
        if not token and token_needed:
            raise UsageError("GATEWAY_URL is set, so GATEWAY_API_TOKEN must be set too.")
        return Connection(url.rstrip("/"), token, "GATEWAY_URL and GATEWAY_API_TOKEN")
    folder = data_dir or DEFAULT_DATA_DIR
    endpoint = read_endpoint(folder)
    if endpoint is None:
        raise NoServer(f"No gateway runs on the data directory {folder}.")
    if token or not token_needed:
        return Connection(endpoint.url, token, f"{folder} and GATEWAY_API_TOKEN")
    if endpoint.token_file is None:
        raise UsageError(f"The token of the gateway on {folder} was given to it; set GATEWAY_API_TOKEN.")
    path = Path(endpoint.token_file)
    try:
        return Connection(endpoint.url, path.read_text(encoding="ascii", errors="replace").strip(), str(path))
    except OSError as error:
        raise DataDirUnusable(f"{path}: {error.strerror}.") from error


def is_http(url: str) -> bool:
    """Whether a text is a URL that can be spoken HTTP to."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
