"""A real gateway, `letta-gateway dev` in a process of its own, and the publisher that feeds its stream."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from paired.processes import Spoken, children, cpu_of_tree_s, cpu_s, running
from paired.run import Run

_REPORT = Path(__file__).parents[1]
_ROOT = Path(__file__).resolve().parents[4]
_POLL_S = 0.005
_GROUP = 0
_FILL = 50_000
_READY_S_MAX = 120.0
# What would make this another gateway than the one that `dev` starts without settings.
_FOREIGN = ("GATEWAY_", "OTEL_")


class Gateway:
    """A running gateway."""

    def __init__(
        self, run: Run, process: Spoken, publisher: Spoken, said: dict[str, Any], sampled_every: int
    ) -> None:
        self._run = run
        self._sampled_every = sampled_every
        self._process = process
        self._publisher = publisher
        self._stream = said["stream"]
        self._redis = Redis.from_url(said["redis_url"])
        self._redis_pid = children(process.pid)[0]
        self._api = httpx.Client(
            base_url=said["url"],
            headers={"Authorization": f"Bearer {said['token']}"},
            timeout=30,
            trust_env=False,
        )
        self.pid = process.pid
        self.published = 0

    def cpu_s(self) -> float:
        """Processor time of the gateway's process, all threads, without its Redis."""
        return cpu_s(self.pid)

    def redis_cpu_s(self) -> float:
        """Processor time of its Redis."""
        return cpu_of_tree_s(self._redis_pid)

    def subscribe(self, sink: str, **config: object) -> str:
        """Make a subscription with the run's secret; returns its id."""
        body = {"sink": sink, "secret": self._run.secret, "config": config}
        return str(self._asked("POST", "/v1/subscriptions", body)["id"])

    def load(self, count: int) -> None:
        """Let the publisher make events ready."""
        load = {
            "tag": self._run.tag,
            "body_bytes": self._run.body_bytes,
            "first": self.published,
            "count": count,
            "sampled_every": self._sampled_every,
        }
        self._publisher.tell(json.dumps({"load": load}))
        self._publisher.hear()
        self.published += count

    def fill(self, count: int) -> None:
        """Publish so many and wait until they are in the log, a part at a time, so that Redis never holds many."""
        for start in range(0, count, _FILL):
            part = min(_FILL, count - start)
            self.load(part)
            self.publish()
            self.published_at()
            self.until_ingested(_READY_S_MAX + part / 50)

    def publish(self, rate: float | None = None) -> None:
        """Let it publish them, so many a second, or as fast as Redis takes them; `published_at` waits for its end."""
        self._publisher.tell(json.dumps({"publish": {"rate": rate}}))

    def published_at(self) -> tuple[int, int]:
        """When the first event was added and when the last had been, microseconds."""
        said = self._publisher.hear()
        return said["begin_us"], said["end_us"]

    def until_ingested(self, within_s: float) -> None:
        """Wait until all that was published is acknowledged, so appended. Asks Redis, not the gateway.

        Entries of other runs are not in this stream: it began with this gateway.
        """
        deadline = time.monotonic() + within_s
        while True:
            group: Any = self._redis.xinfo_groups(self._stream)[_GROUP]
            if group["entries-read"] >= self.published and not group["pending"]:
                return
            self._process.check()
            assert time.monotonic() < deadline, f"{group} after {within_s:g} s"
            time.sleep(_POLL_S)

    def _asked(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._api.request(method, path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def gateway(
    run: Run,
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    sampled_every: int = 1,
    interpreted: bool = False,
) -> Iterator[Gateway]:
    """Run one with its data below `folder` for as long as the context is open.

    Args:
        environment: What else it is told.
        sampled_every: Every so many of its events are of a trace that their producer samples.
        interpreted: Whether it runs from its sources although the run has it compiled.
    """
    command = [
        sys.executable,
        "-m",
        "gateway",
        "dev",
        "--port",
        "0",
        "--data-dir",
        str(folder / "data"),
        "--json",
    ]
    log = folder / "gateway.log"
    # With `-m`, Python looks for the package in the present folder first.
    code = _ROOT if interpreted or run.compiled is None else run.compiled
    with running(command, log=log, without=_FOREIGN, environment=environment, folder=code) as process:
        said = process.hear(_READY_S_MAX)
        publish = [sys.executable, "-m", "paired.publishing", said["redis_url"], said["stream"]]
        with running(
            publish, log=folder / "publisher.log", environment={"PYTHONPATH": str(_REPORT)}
        ) as publisher:
            yield Gateway(run, process, publisher, said, sampled_every)
