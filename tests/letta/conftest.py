"""A real Letta server under `letta-emitter run`, and everything it told a receiver behind a gateway."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from environment import TOP, python  # noqa: E402 - these live beside this file, which is no package
from harness.api import Letta  # noqa: E402
from harness.dialogue import Dialogue, dialogue  # noqa: E402
from harness.ledger import ledger  # noqa: E402
from harness.pipe import Pipe  # noqa: E402
from harness.receiver import Receiver  # noqa: E402
from harness.site import Site  # noqa: E402
from harness.tour import DEFAULT, OLDER, Tour  # noqa: E402
from harness.visit import Visit  # noqa: E402
from harness.watched import Watched  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.letta)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    if "LETTA_VENV" in os.environ:
        # An environment that was made elsewhere does not know this project.
        os.environ["PYTHONPATH"] = str(TOP)
    with Site(python()) as made:
        yield made


@pytest.fixture(scope="session")
def make_pipe(site: Site) -> Iterator[Callable[..., Pipe]]:
    """Make a Redis, gateway and receiver of one's own; all end with the session."""
    made: list[Pipe] = []

    def make(name: str, **environment: str) -> Pipe:
        made.append(Pipe(site.folder / f"pipe-{name}", environment))
        return made[-1]

    yield make
    for pipe in made:
        pipe.close()


@pytest.fixture(scope="session")
def callbacks() -> Iterator[Receiver]:
    """Where Letta's own callbacks go."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def visit(site: Site, make_pipe: Callable[[str], Pipe], callbacks: Receiver) -> Visit:
    """Everything that an agent can do, on a server whose emitter feeds a gateway."""
    pipe = make_pipe("tour")
    server = site.server(
        "tour",
        emitter=pipe.emitter(site.folder / "tour-spool"),
        environment={"STEP_COMPLETE_WEBHOOK": f"{callbacks.url}/step"},
    )
    server.start()
    letta = Letta(server.url)
    tour = Tour(letta, callback=f"{callbacks.url}/run")
    with ThreadPoolExecutor(3) as guides:
        # What waits for Letta's own clocks goes first.
        stops: list[Future[object]] = [guides.submit(tour.batches), guides.submit(tour.cancel)]
        stops += [guides.submit(tour.talk, kind) for kind in (DEFAULT, OLDER)]
        rest = (tour.tools, tour.converse, tour.approve, tour.long_answer)
        stops += [guides.submit(stop) for stop in rest]
    for stop in stops:
        stop.result()
    tour.finish()
    # Told last, and after everything else in the stream: when this is here, the rest is, or never comes.
    last = tour.agent("last", include_base_tools=False)
    tour.attach(last, tour.add)
    history = pipe.wait_for(lambda told: told.by(last), "the last event of the tour")
    jobs = site.postgres.sql("select id from jobs", database=server.database).split()
    listed = ledger(letta, tour.diary.agents, tour.diary.conversations, jobs)
    return Visit(letta, server, tour.diary, listed, history, callbacks, pipe)


@pytest.fixture(scope="session")
def alone(site: Site) -> Dialogue:
    """A talk with a server that has no emitter: what the others have to answer."""
    server = site.server("alone")
    server.start()
    talk = dialogue(Letta(server.url))
    server.stop()
    return talk


@pytest.fixture(scope="session")
def watched(site: Site, make_pipe: Callable[[str], Pipe]) -> Watched:
    """A server that was started, and talked with, while its emitter's Redis was down; now that is up."""
    pipe = make_pipe("watched")
    pipe.redis.stop()
    # With spans of its own, as where tracing is set up; nobody listens at the other end.
    spans = {"LETTA_DISABLE_TRACING": "false", "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    server = site.server("watched", emitter=pipe.emitter(site.folder / "watched-spool"), environment=spans)
    server.start()
    letta = Letta(server.url)
    talk = dialogue(letta)
    pipe.redis.start()
    return Watched(server, pipe, letta, talk)
