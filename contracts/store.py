"""The contracts as files: found, looked up by type and version, and compared with the models."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from contracts.export import GROUP, exported, file_bytes
from schemas.names import TYPE_PREFIX, type_of

HOME: Final = Path(__file__).parent
"""The folder with the committed files."""

SEALS: Final = f"{GROUP}/SHA256SUMS"
"""The released files with their hashes: a released version never changes."""

_FILE = re.compile(rf"{re.escape(GROUP)}/(?P<short>[a-z0-9.]+)/(?P<version>[1-9][0-9]*)\.json")


class ContractsError(ValueError):
    """The contract files are damaged; says which and how."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """All contracts, by full type and version."""

    schemas: Mapping[tuple[str, int], dict[str, Any]]

    def types(self) -> list[str]:
        """Return every type that has a contract, sorted."""
        return sorted({type_name for type_name, _ in self.schemas})

    def versions(self, type_name: str) -> list[int]:
        """Return the versions of a type's contract, ascending; empty for a type without one."""
        return sorted(version for of, version in self.schemas if of == type_name)

    def latest(self, type_name: str) -> int | None:
        """Return the newest version, or None for a type without a contract."""
        return max(self.versions(type_name), default=None)

    def schema(self, type_name: str, version: int | None = None) -> dict[str, Any]:
        """Return a contract as its file has it; the newest where no version is named.

        Raises:
            KeyError: There is none.
        """
        wanted = self.latest(type_name) if version is None else version
        if wanted is None:
            raise KeyError(type_name)
        return self.schemas[type_name, wanted]

    def schema_bytes(self, type_name: str, version: int, base_url: str) -> bytes:
        """Return a contract as it is served: its `$id` is its URL.

        Raises:
            KeyError: There is none.
        """
        served = self.schema(type_name, version) | {"$id": schema_url(base_url, type_name, version)}
        return file_bytes(served)


def schema_url(base_url: str, type_name: str, version: int) -> str:
    """Return the address that the registry serves a contract under, which is the event's `dataschema`."""
    short = type_name.removeprefix(TYPE_PREFIX)
    return f"{base_url.rstrip('/')}/registry/schemagroups/{GROUP}/schemas/{short}/versions/{version}"


def load_from(home: Path) -> Contracts:
    """Read the contract files below a folder.

    Raises:
        ContractsError: A file is not what its place says.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for relative, content in _files(home).items():
        place = _FILE.fullmatch(relative)
        if place is None:
            raise ContractsError(f"{relative} is in a place where no contract belongs")
        try:
            schema = json.loads(content)
        except ValueError as error:
            raise ContractsError(f"{relative} is not JSON: {error}") from None
        if not isinstance(schema, dict) or schema.get("$id") != relative:
            raise ContractsError(f"{relative} does not carry its own place as $id")
        found[type_of(place["short"]), int(place["version"])] = schema
    return Contracts(found)


@cache
def load() -> Contracts:
    """Read the contracts that are part of this package, once."""
    return load_from(HOME)


def export(to: Path) -> list[Path]:
    """Write the contract files of the models' current versions below a folder.

    Files of older versions that are there stay as they are.

    Args:
        to: The folder, made where it is missing.

    Returns:
        The files written, in the order of the models.

    Raises:
        ContractsError: A file that was released would change; nothing is written then.
    """
    current = exported()
    for relative, digest in _seals(to).items():
        if relative in current and _digest(current[relative]) != digest:
            raise ContractsError(f"{relative} was released with other content; give its model a new version")
    written = []
    for relative, content in current.items():
        path = to / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def check(against: Path | None = None) -> list[str]:
    """Compare the models with the files, and the files with what was released.

    Args:
        against: The folder that holds `com.letta`; None for the one in this package.

    Returns:
        One line per file that differs, is missing, is extra, or was changed after its release, beginning with
        the file's name; empty if all is well.
    """
    home = HOME if against is None else against
    files = _files(home)
    current = exported()
    complaints = []
    for relative, content in current.items():
        if relative not in files:
            complaints.append(f"{relative}: missing; export the contracts")
        elif files[relative] != content:
            complaints.append(
                f"{relative}: differs from its model; export it, or give the model a new version"
            )
    sealed = _seals(home)
    newest = {relative.rpartition("/")[0]: int(Path(relative).stem) for relative in current}
    for relative in files.keys() - current.keys():
        place = _FILE.fullmatch(relative)
        if place is None or int(place["version"]) >= newest.get(relative.rpartition("/")[0], 0):
            complaints.append(f"{relative}: extra; no model stands for it")
    for relative, digest in sealed.items():
        if relative not in files:
            complaints.append(f"{relative}: removed after its release")
        elif _digest(files[relative]) != digest:
            complaints.append(f"{relative}: changed after its release; a change needs a new version")
    return sorted(complaints)


def seal(home: Path = HOME) -> Path:
    """Note the hash of every contract file, as part of a release: from then on `check` guards them.

    Raises:
        ContractsError: A file that was sealed before has changed or is gone.
    """
    files = _files(home)
    for relative, digest in _seals(home).items():
        if relative not in files or _digest(files[relative]) != digest:
            raise ContractsError(f"{relative} changed after its release; a change needs a new version")
    path = home / SEALS
    lines = [f"{_digest(content)}  {relative}\n" for relative, content in sorted(files.items())]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _files(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted((home / GROUP).rglob("*.json"))
    }


def _seals(home: Path) -> dict[str, str]:
    path = home / SEALS
    if not path.exists():
        return {}
    pairs = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line)
    return {relative: digest for digest, relative in pairs}
