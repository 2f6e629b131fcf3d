"""The gateway as its users see it: a process, a Redis, a receiver, and what goes over the wire between them.

Tests that need nothing of their own share one gateway; each has sinks, event types and sources of its own there.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flow_gateway import TOKEN, Gateway  # noqa: F401 - `flow_fixtures` has it for other folders
from flow_receiver import WITHIN_S, Posted, Receiver, Reply, Sink  # noqa: F401 - likewise


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait for a condition; gives what it became, or fails with what it was."""

    def wait(condition: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < deadline, f"it did not come true in {within_s:g} s: {found!r}"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def reply() -> type[Reply]:
    """An answer, for the rules of a sink."""
    return Reply


@pytest.fixture
def sink(receiver: Receiver) -> Sink:
    return receiver.sink()


@pytest.fixture(scope="session")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway with its embedded Redis for all tests that neither stop nor starve it."""
    gateway = Gateway(
        tmp_path_factory.mktemp("shared") / "data", {"GATEWAY_EVENT_BYTES_MAX": "65536"}
    ).start()
    yield gateway
    code = gateway.stop()
    assert code == 0, gateway.said_on_stderr()[-4000:]
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


@pytest.fixture
def shared(shared_process: Gateway) -> Iterator[Gateway]:
    """The gateway that tests share; the subscriptions that a test made go with it."""
    yield shared_process
    shared_process.forget()


@pytest.fixture(scope="session")
def asking_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that sinks know by a name, for handshakes."""
    env = {"GATEWAY_WEBHOOK_ORIGIN": "hooks.example.org"}
    gateway = Gateway(tmp_path_factory.mktemp("asking") / "data", env).start()
    yield gateway
    assert gateway.stop() == 0, gateway.said_on_stderr()[-4000:]
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


@pytest.fixture
def asking(asking_process: Gateway) -> Iterator[Gateway]:
    """That one; the subscriptions that a test made go with it."""
    yield asking_process
    asking_process.forget()


@pytest.fixture(scope="session")
def restartable_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Another one, which tests may end and start again."""
    gateway = Gateway(tmp_path_factory.mktemp("restartable") / "data", {}).start()
    yield gateway
    gateway.end()
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


@pytest.fixture
def restartable(restartable_process: Gateway) -> Iterator[Gateway]:
    """That one, running, and running again after the test."""
    yield restartable_process
    assert restartable_process.process is not None
    if restartable_process.process.poll() is not None:
        restartable_process.start()
    restartable_process.forget()


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Gateways of a test's own; whatever still runs is ended."""
    made: list[Gateway] = []

    def make(**env: str) -> Gateway:
        made.append(Gateway(tmp_path / f"gateway-{len(made)}", env))
        return made[-1]

    yield make
    for gateway in made:
        gateway.end()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def kind(numbers: Iterator[int]) -> str:
    """An event type of this test's own, so that tests on one gateway do not meet."""
    return f"flow.case{next(numbers)}"


@pytest.fixture
def make_event(kind: str, numbers: Iterator[int]) -> Callable[..., dict[str, Any]]:
    """A foreign event, of this test's type unless told otherwise; None leaves an attribute out."""

    def make(**attributes: Any) -> dict[str, Any]:
        event = {
            "specversion": "1.0",
            "id": f"e{next(numbers)}",
            "source": f"/flows/{kind}",
            "type": kind,
            "datacontenttype": "application/json",
            "data": {"n": next(numbers)},
        }
        return {name: value for name, value in (event | attributes).items() if value is not None}

    return make


@pytest.fixture
def make_letta_event(numbers: Iterator[int]) -> Callable[..., dict[str, Any]]:
    """An event as the emitter makes it, which keeps its contract."""

    def make(agent: str = "agent-1", organization: str = "org-1", **attributes: Any) -> dict[str, Any]:
        number = next(numbers)
        event_id = f"evt_{number}"
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"https://letta/organizations/{organization}/agents/{agent}",
            "type": "com.letta.agent.step.completed",
            "subject": f"step-{number}",
            "time": "2026-01-01T12:00:00Z",
            "datacontenttype": "application/json",
            "partitionkey": agent,
            "sequence": f"{number:020d}",
            "data": {
                "event_id": event_id,
                "event_type": "agent.step.completed",
                "timestamp": "2026-01-01T12:00:00Z",
                "agent_id": agent,
                "organization_id": organization,
                "data": {"step_id": f"step-{number}", "status": "completed", "usage": {}},
            },
        }
        return {name: value for name, value in (event | attributes).items() if value is not None}

    return make
