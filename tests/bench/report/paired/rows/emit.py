"""How long the emitter keeps its caller, beside the same loop without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from paired.run import Run

_PROGRAM = Path(__file__).parents[3] / "emit.py"
_CALLS_MAX = 3_000


def emit(run: Run) -> dict[str, float]:
    """`Emitter.emit` of 2 KB in a running loop, 1,000 a second, and the same loop with the emitter switched off."""
    calls = min(run.events, _CALLS_MAX)
    with run.place() as folder:
        command = [
            sys.executable,
            str(_PROGRAM),
            f"--calls={calls}",
            "--control",
            "--json",
            f"--folder={folder}",
        ]
        # It ends with 1 where its own limit is not met; here the figures are told, and judged by the reader.
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    names = ("p50_us", "p99_us", "late_p50_us", "late_p99_us")
    return {name: said[name] for name in (*names, *(f"control_{name}" for name in names), "lost")}
