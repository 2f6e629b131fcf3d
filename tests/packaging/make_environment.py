"""Make the virtual environment of this checkout, once for each set of requirements.

Runs on any Python 3.11 to 3.13 with nothing installed. A stamp holds the hash of what was installed, so
that a second call costs nothing and a changed requirement is taken in.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = "gateway,postgres,dev"
SUPPORTED = ((3, 11), (3, 13))


def main(target: str) -> int:
    version = sys.version_info[:2]
    if not SUPPORTED[0] <= version <= SUPPORTED[1]:
        print(
            f"Python 3.11 to 3.13 is needed, and this is {version[0]}.{version[1]}; "
            "name another one: PYTHON=python3.12 just …",
            file=sys.stderr,
        )
        return 1
    home = ROOT / target
    stamp = home / "installed"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    print(f"Making {target} (a minute or two, once) …", file=sys.stderr)
    if not (home / "bin" / "python").exists():
        venv.create(home, with_pip=True, clear=True)
    python = str(home / "bin" / "python")
    # The pip that comes with some Python releases crashes in its resolver.
    _run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    _run(python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e", f".[{EXTRAS}]")
    stamp.write_text(wanted)
    return 0


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{sys.version} {ROOT} {EXTRAS}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True, env=None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ".venv"))
