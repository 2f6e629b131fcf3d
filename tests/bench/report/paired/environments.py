"""The environments of the peers, below `.venv-bench`: made once for each set of pinned versions.

Each peer has a folder in `tests/bench/peers`; what it needs stands in its `requirements.txt`, whole and
pinned, or in a `package-lock.json`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
PEERS = ROOT / "tests" / "bench" / "peers"
HOME = ROOT / ".venv-bench"
_STAMP = "installed"


class NotInstalledError(Exception):
    """An environment cannot be had here; the sentence goes into the report."""


def python_of(peer: str) -> Path:
    """The Python of a peer's own virtual environment."""
    home = HOME / peer
    requirements = PEERS / peer / "requirements.txt"
    if not _fresh(home, requirements):
        venv.create(home, with_pip=True, clear=True)
        _run(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(requirements))
        _remember(home, requirements)
    return home / "bin" / "python"


def node_folder_of(peer: str) -> Path:
    """A folder with a Node peer's scripts and its `node_modules`."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise NotInstalledError("Node.js and npm are not on this machine.")
    home, source = HOME / peer, PEERS / peer
    lock = source / "package-lock.json"
    if not _fresh(home, lock):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, home)
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", folder=home)
        _remember(home, lock)
    for script in source.glob("*.mjs"):
        shutil.copy(script, home)
    return home


def wrk() -> tuple[str, dict[str, str]]:
    """The load generator wrk and the environment it needs: the machine's own, else Debian's package, unpacked."""
    if (found := shutil.which("wrk")) is not None:
        return found, {}
    home = HOME / "wrk"
    binary = home / "usr" / "bin" / "wrk"
    if not binary.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise NotInstalledError("wrk is not on this machine, and it is no Debian.")
        home.mkdir(parents=True, exist_ok=True)
        try:
            _run("apt-get", "download", "wrk", "libluajit-5.1-2", folder=home)
        except NotInstalledError:
            raise NotInstalledError(
                "wrk is not on this machine, and apt-get has no package of it: `apt-get update` may help."
            ) from None
        for package in home.glob("*.deb"):
            _run("dpkg-deb", "-x", str(package), str(home))
    libraries = next((home / "usr" / "lib").glob("*-linux-gnu"), home)
    return str(binary), {"LD_LIBRARY_PATH": str(libraries)}


def _fresh(home: Path, pins: Path) -> bool:
    stamp = home / _STAMP
    return stamp.exists() and stamp.read_text() == _fingerprint(pins)


def _remember(home: Path, pins: Path) -> None:
    (home / _STAMP).write_text(_fingerprint(pins))


def _fingerprint(pins: Path) -> str:
    return hashlib.sha256(sys.version.encode() + pins.read_bytes()).hexdigest()


def _run(*command: str, folder: Path = ROOT) -> None:
    print(" ".join(("installing:", *command)), file=sys.stderr)
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=os.environ)
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"`{' '.join(command[:4])} …` failed.") from error
