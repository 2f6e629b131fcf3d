"""Emitters on spools of their own, a look into the stream, and workers that can be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

import schemas
from letta_emitter.emitter import Emitter
from letta_emitter.hooks import sending
from letta_emitter.hooks.wrapping import Shield
from letta_emitter.mapping import Call
from letta_emitter.publisher import body_of
from letta_emitter.settings import EmitterSettings

if TYPE_CHECKING:
    from route_standins import Stub

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one

WORKER = Path(__file__).parent / "worker.py"
STREAM = "letta.events"


@pytest.fixture
def eventually() -> Callable[..., None]:
    def wait(condition: Callable[[], object], timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def event() -> Callable[..., schemas.Envelope]:
    def make(number: int, *, text: str = "x", organization: str = "org-1") -> schemas.Envelope:
        attributes = {
            "id": f"evt_{number}",
            "source": schemas.source_of("https://letta", organization, "agent-1"),
            "type": "com.letta.agent.message.sent",
            "subject": f"message-{number}",
        }
        return schemas.build(attributes, {"number": number, "text": text})

    return make


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def make_emitter(spool_dir: Path) -> Iterator[Callable[..., Emitter]]:
    made: list[Emitter] = []

    def make(url: str, *, retain_s: float = 60, **settings: Any) -> Emitter:
        emitter = Emitter(
            EmitterSettings(**{"redis_url": url, "spool_dir": spool_dir, **settings}), retain_s=retain_s
        )
        made.append(emitter)
        return emitter

    yield make
    for emitter in made:
        emitter.close(0.1)


class Look:
    """What lies in a stream, as the gateway would read it."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)

    def bodies(self) -> list[bytes]:
        entries: Any = self.client.xrange(STREAM)
        return [body_of(fields) for _, fields in entries]

    def envelopes(self) -> list[schemas.Envelope]:
        return [schemas.parse_structured(body) for body in self.bodies()]

    def numbers(self) -> list[int]:
        """The events' numbers by first arrival: duplicates collapse, as they do in the gateway's log."""
        return list(dict.fromkeys(int(found.id.removeprefix("evt_")) for found in self.envelopes()))

    def count(self) -> int:
        try:
            return int(self.client.xlen(STREAM))
        except redis.ConnectionError:
            return -1


@pytest.fixture
def look() -> Callable[[str], Look]:
    return Look


@pytest.fixture
def spawn(spool_dir: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start workers (see worker.py); those still alive at the end are killed."""
    workers: list[subprocess.Popen[str]] = []

    def start(url: str, *, first: int = 0, count: int = 0, pause_s: float = 0.0) -> subprocess.Popen[str]:
        arguments = [url, str(spool_dir), str(first), str(count), str(pause_s)]
        worker = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.kill()
        worker.communicate()


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    """What the hooks saw."""
    seen: list[Call] = []
    sending.observers.append(seen.append)
    yield seen
    sending.observers.remove(seen.append)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test hears every complaint anew."""
    monkeypatch.setattr(Shield, "_told", set())


@pytest.fixture
def emitter(monkeypatch: pytest.MonkeyPatch) -> Emitter:
    """The process's emitter; it is off, but counts."""
    mine = Emitter(None)
    monkeypatch.setattr("letta_emitter.emitter._singleton", mine)
    return mine


@pytest.fixture
def stub() -> Iterator[Stub]:
    """What stands at the gateway's address."""
    from route_standins import gateway_stub  # noqa: PLC0415 - it lies beside this module, see above

    with gateway_stub() as found:
        yield found
