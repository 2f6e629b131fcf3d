"""What development makes for itself in the data directory at first start: the token and the sealing keys."""

import base64
import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

from gateway.settings import SECRET_KEY_BYTES, Fault, Settings, SettingsError, check_token, decode_secret_keys


def token_path(data_dir: Path) -> Path:
    """Where the administrator token of a data directory lies."""
    return data_dir / "token"


def secret_keys_path(data_dir: Path) -> Path:
    """Where the sealing keys of a data directory lie."""
    return data_dir / "secret_keys"


def ensure_development_secrets(data_dir: Path) -> tuple[SecretStr, SecretStr]:
    """Read the token and sealing keys of a data directory, making both at its first use (file mode 0600).

    Returns:
        The administrator token and the value for `secret_keys`.

    Raises:
        SettingsError: A file is there and what is in it is not usable.
        OSError: The directory or a file cannot be read or written.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = _kept(token_path(data_dir), "lgw_" + secrets.token_urlsafe(32))
    keys = _kept(secret_keys_path(data_dir), base64.b64encode(secrets.token_bytes(SECRET_KEY_BYTES)).decode())
    faults: list[Fault] = []
    for path, value, check in (
        (token_path(data_dir), token, check_token),
        (secret_keys_path(data_dir), keys, decode_secret_keys),
    ):
        try:
            check(value.get_secret_value())
        except ValueError as error:
            faults.append(Fault(str(path), f"{error}; restore it from a backup"))
    if faults:
        raise SettingsError(faults)
    return token, keys


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
    return SecretStr(path.read_text(encoding="ascii").strip())


def with_development_secrets(settings: Settings, data_dir: Path) -> Settings:
    """The same settings with token and keys given: in development from the data directory, where not set."""
    if settings.production or (settings.api_token is not None and settings.secret_keys is not None):
        return settings
    token, keys = ensure_development_secrets(data_dir)
    given = {"api_token": settings.api_token or token, "secret_keys": settings.secret_keys or keys}
    return settings.model_copy(update=given)
