"""Make the environment of the Letta tests: `letta==0.16.8` under its own pins, and this project beside it.

    python tests/letta/environment.py

makes `.venv-letta` at the top of the repository (about two minutes, once; again only when the pins or the
project's dependencies change) and prints its Python. LETTA_VENV names another environment to use as it is.
"""

import hashlib
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

TOP = Path(__file__).parents[2]
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
LETTA = "letta[server,postgres,redis]==0.16.8"
# Older ones crash while they resolve Letta's dependencies.
PIP = "pip>=24"
_STAMP = "letta-environment"


def python() -> Path:
    """The Python of the environment; made first where it is not there yet or is out of date."""
    given = os.environ.get("LETTA_VENV")
    if given:
        found = Path(given) / "bin" / "python"
        assert found.exists(), f"LETTA_VENV has no {found}"
        return found
    folder = TOP / ".venv-letta"
    found = folder / "bin" / "python"
    stamp = folder / _STAMP
    wanted = _wanted()
    if stamp.exists() and stamp.read_text() == wanted:
        return found
    stamp.unlink(missing_ok=True)
    print("making .venv-letta (once, about two minutes)", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    _pip(found, "install", "--quiet", "--upgrade", PIP)
    # One resolution of both: what runs inside Letta has to live with Letta's pins.
    _pip(found, "install", "--quiet", "--constraint", str(CONSTRAINTS), LETTA, "--editable", str(TOP))
    stamp.write_text(wanted)
    return found


def _pip(interpreter: Path, *arguments: str) -> None:
    command = [str(interpreter), "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)


def _wanted() -> str:
    """What the environment was made from."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    parts = (CONSTRAINTS.read_text(), project["dependencies"], project["scripts"], sys.version, LETTA)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


if __name__ == "__main__":
    print(python())
