"""Prometheus' own `promtool`, of Debian's package, unpacked where git does not look: nothing is installed by it.

    python tests/packaging/promtool.py     prints where it is

One that is on the PATH serves as well.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".venv-promtool" / "promtool"
PACKAGE = "prometheus"


def promtool() -> Path | None:
    """Where it is, fetched where it can be; None: this is no Debian, and it is not on the PATH."""
    found = shutil.which("promtool")
    if found is not None:
        return Path(found)
    if not UNPACKED.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            return None
        _fetch()
    return UNPACKED


def _fetch() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if not _downloaded(folder):
            # The lists of a fresh machine are empty; only root may fill them.
            subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
            if not _downloaded(folder):
                raise SystemExit(f"Debian's package {PACKAGE} cannot be downloaded: is `apt-get update` due?")
        (package,) = Path(folder).glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        UNPACKED.parent.mkdir(exist_ok=True)
        # Whole or not at all: tests of another process may look for it now.
        shutil.copy2(Path(folder) / "usr/bin/promtool", UNPACKED.with_suffix(".new"))
        UNPACKED.with_suffix(".new").rename(UNPACKED)


def _downloaded(folder: str) -> bool:
    done = subprocess.run(
        ["apt-get", "download", "-qq", PACKAGE], cwd=folder, check=False, capture_output=True, timeout=300
    )
    return done.returncode == 0


if __name__ == "__main__":
    where = promtool()
    print(where if where is not None else "promtool is not on the PATH, and this is no Debian")
    sys.exit(where is None)
