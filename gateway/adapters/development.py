"""What development makes for itself in the data directory at first start: the token and the sealing keys."""

import base64
import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from gateway.settings import SECRET_KEY_BYTES, Fault, Settings, SettingsError, check_token, decode_secret_keys


def token_path(data_dir: Path) -> Path:
    """Where the administrator token of a data directory lies."""
    return data_dir / "token"


def secret_keys_path(data_dir: Path) -> Path:
    """Where the sealing keys of a data directory lie."""
    return data_dir / "secret_keys"


def ensure_token(data_dir: Path) -> SecretStr:
    """The administrator token of a data directory, made at its first use (file mode 0600).

    Raises:
        SettingsError: There is a file, and what is in it is not usable.
        OSError: The directory or the file cannot be read or written.
    """
    return _checked(token_path(data_dir), "lgw_" + secrets.token_urlsafe(32), check_token)


def ensure_secret_keys(data_dir: Path) -> SecretStr:
    """The sealing keys of a data directory, made and refused like its token."""
    fresh = base64.b64encode(secrets.token_bytes(SECRET_KEY_BYTES)).decode()
    return _checked(secret_keys_path(data_dir), fresh, decode_secret_keys)


def _checked(path: Path, fresh: str, check: Callable[[str], object]) -> SecretStr:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    value = _kept(path, fresh)
    try:
        check(value.get_secret_value())
    except ValueError as error:
        raise SettingsError([Fault(str(path), f"{error}; restore it from a backup")]) from None
    return value


def _kept(path: Path, fresh: str) -> SecretStr:
    # Written aside and linked into place: two first starts agree on one value and no reader sees half of it.
    if not path.exists():
        descriptor, aside = tempfile.mkstemp(
            prefix=f".{path.name}-", dir=path.parent
        )  # mode 0600 from the start
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(fresh + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(aside)
        finally:
            Path(aside).unlink()
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return SecretStr(path.read_text(encoding="ascii", errors="replace").strip())


def with_development_secrets(settings: Settings, data_dir: Path) -> Settings:
    """The same settings with token and keys given: in development from the data directory, where not set."""
    if settings.production:
        return settings
    given = {
        "api_token": settings.api_token or ensure_token(data_dir),
        "secret_keys": settings.secret_keys or ensure_secret_keys(data_dir),
    }
    return settings.model_copy(update=given)
