"""What the process itself takes, under the names that Prometheus' own clients give these figures."""

import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otel.metrics import Family, Kind, Sample, gauge

_PROC: Final = Path("/proc/self")
_STARTED_S: Final = time.time() - time.process_time()
"""About when the process began, where the system does not say: as this module is loaded."""


def process_families(version: str) -> list[Family]:
    """Processor time, memory, open files, and which build this is."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    build = (("version", version), ("python", platform.python_version()))
    return [
        Family("letta_gateway_build", Kind.INFO, "The version that runs.", [Sample(1, build)]),
        Family(
            "process_cpu_seconds",
            Kind.COUNTER,
            "Processor time, user and system.",
            [Sample(usage.ru_utime + usage.ru_stime)],
            unit="seconds",
        ),
        gauge("process_start_time_seconds", "When it began, Unix time.", _started_s(), unit="seconds"),
        gauge("process_resident_memory_bytes", "Memory.", _resident_bytes(usage.ru_maxrss), unit="bytes"),
        gauge("process_open_fds", "Open files and sockets.", _open_files()),
        gauge("process_max_fds", "As many are allowed.", _files_max()),
    ]


def _resident_bytes(most_kib: int) -> int:
    try:
        return int((_PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        # Not Linux: the most there ever was, which macOS counts in bytes.
        return most_kib if sys.platform == "darwin" else most_kib * 1024


def _started_s() -> float:
    try:
        after_boot = int((_PROC / "stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf(
            "SC_CLK_TCK"
        )
        return next(_boot_s()) + after_boot
    except (OSError, StopIteration):
        return _STARTED_S


def _boot_s() -> Iterator[float]:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            yield float(line.split()[1])


def _open_files() -> int | None:
    try:
        return len(os.listdir(_PROC / "fd"))  # noqa: PTH208 - the directory itself is one of them
    except OSError:
        return None


def _files_max() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
