"""A real gateway, and real receivers beside it, each a process of its own with its own versions."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flow_fixtures import (  # noqa: F401 - fixtures
    kind,
    make_event,
    make_letta_event,
    numbers,
    receiver,
    shared,
    shared_process,
    sink,
    until,
)
from peering.process import ReceiverProcess
from peering.receivers import RECEIVERS


@pytest.fixture(scope="session")
def receiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ReceiverProcess]]:
    """The process of a receiver, started when it is first asked for."""
    started: dict[str, ReceiverProcess] = {}

    def start(name: str) -> ReceiverProcess:
        if name not in started:
            log = tmp_path_factory.mktemp("receivers") / "stderr"
            started[name] = ReceiverProcess(RECEIVERS[name].command, log).start()
        return started[name]

    yield start
    for process in started.values():
        process.end()
