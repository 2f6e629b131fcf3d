"""The environments of the peers, below `.venv-interop`: made once for each set of pinned versions.

    python tests/interop/peering/environments.py

makes all of them. Each Python peer has its own, because what one pins another cannot live with.
"""

import functools
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
PEERS = TOP / "tests" / "interop" / "peers"
HOME = TOP / ".venv-interop"
NODE_MAJOR_MIN = 20
_STAMP = "installed"


@functools.cache
def python_of(peer: str) -> Path:
    """The Python of a peer's own virtual environment, made first where it is missing or out of date."""
    home, source = HOME / peer, PEERS / peer
    pins = (source / "requirements.txt", source / "constraints.txt")
    if not _fresh(home, *pins):
        venv.create(home, with_pip=True, clear=True)
        pip = (str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        # The pip that comes with some Python releases crashes in its resolver.
        _run(*pip, "--upgrade", "pip")
        _run(*pip, "--requirement", str(pins[0]), "--constraint", str(pins[1]))
        _remember(home, *pins)
    return home / "bin" / "python"


@functools.cache
def node_folder() -> Path:
    """The folder with `node_modules` and copies of the scripts that need them."""
    home, source = HOME / "node", PEERS / "node"
    pins = (source / "package.json", source / "package-lock.json")
    if not _fresh(home, *pins):
        _check_node()
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for path in pins:
            shutil.copy(path, home)
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", folder=home)
        _remember(home, *pins)
    for script in source.glob("*.cjs"):
        shutil.copy(script, home)
    return home


def _check_node() -> None:
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        raise SystemExit(f"Node.js {NODE_MAJOR_MIN} or later and npm are needed for these tests.")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < NODE_MAJOR_MIN:
        raise SystemExit(f"Node.js {NODE_MAJOR_MIN} or later is needed, and this is {version}.")


def _fresh(home: Path, *pins: Path) -> bool:
    stamp = home / _STAMP
    return stamp.exists() and stamp.read_text() == _fingerprint(*pins)


def _remember(home: Path, *pins: Path) -> None:
    (home / _STAMP).write_text(_fingerprint(*pins))


def _fingerprint(*pins: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} {TOP}".encode())
    for path in pins:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _run(*command: str, folder: Path = TOP) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)


def main() -> None:
    """Make all that is not there yet."""
    node_folder()
    for requirements in sorted(PEERS.glob("*/requirements.txt")):
        python_of(requirements.parent.name)


if __name__ == "__main__":
    main()
