"""A process that enqueues jobs: it reads a file of them, says so, and enqueues when it is told to.

Each line of its stdin is the name of a file, or `go`; it answers each with one JSON object.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

Job = tuple[str, str]
"""The id that becomes `webhook-id`, and the body."""


async def commands_async(enqueue: Callable[[Sequence[Job]], Awaitable[None]]) -> None:
    """Serve until stdin ends. Nothing else runs on this loop, so it may be blocked meanwhile."""
    jobs: Sequence[Job] = []
    for line in sys.stdin:
        if line.strip() == "go":
            begin_us = _now_us()
            await enqueue(jobs)
            _answer({"begin_us": begin_us, "end_us": _now_us()})
        else:
            jobs = _jobs(line.strip())
            _answer({"loaded": len(jobs)})


def commands(enqueue: Callable[[Sequence[Job]], None]) -> None:
    """The same for a library that is not asynchronous."""
    jobs: Sequence[Job] = []
    for line in sys.stdin:
        if line.strip() == "go":
            begin_us = _now_us()
            enqueue(jobs)
            _answer({"begin_us": begin_us, "end_us": _now_us()})
        else:
            jobs = _jobs(line.strip())
            _answer({"loaded": len(jobs)})


def _jobs(name: str) -> list[Job]:
    with Path(name).open() as file:
        return [(job["id"], job["body"]) for job in map(json.loads, file)]


def _answer(said: dict[str, int]) -> None:
    print(json.dumps(said), flush=True)


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
