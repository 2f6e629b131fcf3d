"""The emitter's settings, from `LETTA_EMITTER_*`. Standard library only: this runs inside somebody else's server."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from letta_emitter.errors import SettingsError

PREFIX = "LETTA_EMITTER_"
SPOOL_BYTES_MIN = 64 * 1024
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})
_URI = re.compile(
    r"^[A-Za-z][A-Za-z0-9+.-]*:[!#$&-;=?-Z\[\]_a-z~]+$"
)  # printable ASCII, without space, '"' and '%'
_STREAM = re.compile(r"^[!-~]{1,256}$")


@dataclass(frozen=True, slots=True)
class EmitterSettings:
    """What the emitter needs to know; `from_env` reads it, a test or a command may build it."""

    redis_url: str = field(repr=False)
    spool_dir: Path
    stream: str = "letta.events"
    source_base: str = "https://letta"
    stream_max: int = 1_000_000
    """Entries in the stream at which the spool holds (S9e)."""
    spool_bytes_max: int = 256 * 1024 * 1024
    """Bytes on disk at which new events are counted as overflow (S9e)."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> EmitterSettings:
        """Read the settings from the environment.

        Raises:
            SettingsError: one is missing or wrong; the text names it and says what is allowed.
        """
        env = os.environ if environ is None else environ
        redis_url = _redis_url(env)
        stream = _matching(env, "STREAM", "letta.events", _STREAM, "1 to 256 printable ASCII characters")
        source_base = _matching(
            env, "SOURCE_BASE", "https://letta", _URI, "an absolute URI such as https://letta"
        )
        return cls(
            redis_url=redis_url,
            stream=stream,
            source_base=source_base.rstrip("/"),
            spool_dir=_spool_dir(env, redis_url, stream),
            stream_max=_number(env, "STREAM_MAX", 1_000_000, 1),
            spool_bytes_max=_number(env, "SPOOL_BYTES_MAX", 256 * 1024 * 1024, SPOOL_BYTES_MIN),
        )


def is_enabled(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether `LETTA_EMITTER_ENABLED` switches the emitter on.

    Raises:
        SettingsError: it is neither a yes nor a no.
    """
    value = (os.environ if environ is None else environ).get(PREFIX + "ENABLED", "").strip().lower()
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise _wrong("ENABLED", f"one of {', '.join(sorted(_YES))} or {', '.join(sorted(_NO - {''}))}", value)


def shown_url(url: str) -> str:
    """Return a Redis URL without its credentials and options, for logs and reports."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _wrong(name: str, allowed: str, value: str) -> SettingsError:
    return SettingsError(f"{PREFIX}{name} must be {allowed}, not {value!r}")


def _matching(env: Mapping[str, str], name: str, default: str, pattern: re.Pattern[str], allowed: str) -> str:
    value = env.get(PREFIX + name) or default
    if not pattern.match(value):
        raise _wrong(name, allowed, value)
    return value


def _number(env: Mapping[str, str], name: str, default: int, least: int) -> int:
    value = env.get(PREFIX + name)
    if not value:
        return default
    allowed = f"a whole number, {least} or more"
    try:
        number = int(value.replace("_", ""))
    except ValueError:
        raise _wrong(name, allowed, value) from None
    if number < least:
        raise _wrong(name, allowed, value)
    return number


def _redis_url(env: Mapping[str, str]) -> str:
    allowed = "a URL beginning with redis://, rediss:// or unix://"
    value = env.get(PREFIX + "REDIS_URL", "")
    if not value:
        raise SettingsError(f"{PREFIX}REDIS_URL is not set; it must be {allowed}")
    try:
        parts = urlsplit(value)
        place = parts.path if parts.scheme == "unix" else parts.hostname
        known = parts.scheme in {"redis", "rediss", "unix"} and bool(place) and parts.port != 0
    except ValueError:
        known = False
    if not known:  # the value is not shown: it may hold a password
        raise SettingsError(f"{PREFIX}REDIS_URL must be {allowed}")
    return value


def _spool_dir(env: Mapping[str, str], redis_url: str, stream: str) -> Path:
    """Return the folder given, or one of this Redis and stream under the user's state folder.

    Credentials are left out of the name, so that a rotated password does not leave a spool behind.
    """
    given = env.get(PREFIX + "SPOOL_DIR")
    if given:
        path = Path(given)
        if not path.is_absolute():
            raise _wrong("SPOOL_DIR", "an absolute path", given)
        return path
    state = env.get("XDG_STATE_HOME")
    try:
        base = Path(state) if state and Path(state).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        raise SettingsError(
            f"{PREFIX}SPOOL_DIR must be set: there is no home folder to put a default in"
        ) from None
    name = hashlib.sha256(f"{shown_url(redis_url)}\n{stream}".encode()).hexdigest()[:16]
    return base / "letta-emitter" / name
