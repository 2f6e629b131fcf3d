"""`subscriptions test|replay|replays|cancel-replay` and `retry`, against a real gateway and a sink that answers."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Records = list[dict[str, Any]]
TYPE = "com.example.streamed"


def until(condition: Callable[[], Any], *, within_s: float = 20) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


def records(result: Any) -> Records:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


class Sink:
    """Answers each POST with `status`, and keeps its headers."""

    def __init__(self) -> None:
        self.status = 204
        self.posts: list[dict[str, str]] = []
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                sink.posts.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(sink.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.stop()


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        return command(*arguments, "--data-dir", str(dev.data_dir))

    return run


@pytest.fixture
def mine(ask: Callable[..., Any], sink: Sink) -> Iterator[str]:
    """A subscription with one attempt for each event."""
    made = records(
        ask(
            *("subscriptions", "create", "--json", "--sink", sink.url, "--type", TYPE),
            *("--config", '{"retry": [], "ordering": "partitionkey"}'),
        )
    )[0]["id"]
    yield made
    ask("subscriptions", "delete", made)


@pytest.fixture
def publish(ask: Callable[..., Any], sink: Sink) -> Callable[[int], list[int]]:
    """Events, each delivered or failed by now; gives their positions."""

    def run(count: int) -> list[int]:
        before = len(sink.posts)
        for _ in range(count):
            assert ask("emit", TYPE, "--source", "https://example/s", "--data", "{}").returncode == 0
        until(lambda: len(sink.posts) == before + count)
        listed = records(ask("events", "--type", TYPE, "--json", "--limit", str(count)))
        return sorted(item["position"] for item in listed)

    return run


def state_of(ask: Callable[..., Any], position: int) -> str:
    """Empty until the first attempt is journaled: a sink has the event a moment before that."""
    found = records(ask("deliveries", "list", "--event", str(position), "--json"))
    return str(found[0]["state"]) if found else ""


def test_a_test_of_one_that_is_fetched_says_where_it_is(ask: Callable[..., Any]) -> None:
    made = records(ask("subscriptions", "create", "--json", "--sink", "pull:"))[0]["id"]
    told = ask("subscriptions", "test", made).stdout
    assert "deliveries list" not in told
    position = int(told.split("position ")[1].split(";")[0])
    assert f"`after={position - 1}`" in told
    for more in ((), ("--dry-run",)):
        refused = ask("subscriptions", "replay", made, "--from-position", "1", *more)
        assert (refused.returncode, "only pulled" in refused.stderr) == (1, True)
    ask("subscriptions", "delete", made)


def test_a_test_reaches_the_sink_marked_as_one(ask: Callable[..., Any], mine: str, sink: Sink) -> None:
    (sent,) = records(ask("subscriptions", "test", mine, "--json"))
    (post,) = until(lambda: list(sink.posts))
    assert post["x-letta-test"] == "1"
    until(lambda: state_of(ask, sent["position"]) == "delivered")
    said = ask("subscriptions", "test", mine)
    assert said.returncode == 0
    assert f"letta-gateway deliveries list --event {sent['position'] + 1}" in said.stdout


def test_a_replay_is_counted_first_then_made_listed_and_cancelled(
    ask: Callable[..., Any], mine: str, sink: Sink, publish: Callable[[int], list[int]]
) -> None:
    positions = publish(3)
    asked = ("subscriptions", "replay", mine, "--from-position", str(positions[0]))
    assert f"3 deliveries of positions {positions[0]} to" in ask(*asked, "--dry-run").stdout
    (counted,) = records(ask(*asked, "--until-position", str(positions[1]), "--dry-run", "--json"))
    assert counted == {"count": 2, "from_position": positions[0], "until_position": positions[1]}
    assert len(sink.posts) == 3
    assert "has begun; follow it: letta-gateway subscriptions replays" in ask(*asked).stdout
    until(lambda: len(sink.posts) == 6)
    assert [post.get("x-letta-replay") for post in sink.posts] == [None] * 3 + ["1"] * 3
    until(lambda: records(ask("subscriptions", "replays", mine, "--json")) == [])
    # One of a stream that stands still waits, is seen, and can be cancelled.
    ask("subscriptions", "pause", mine)
    (replay,) = records(ask(*asked, "--json"))
    (listed,) = records(ask("subscriptions", "replays", mine, "--json"))
    assert (listed["id"], listed["state"], listed["only"]) == (replay["id"], "running", "all")
    table = ask("subscriptions", "replays", mine).stdout
    assert str(replay["id"]) in table
    assert "CURSOR" in table
    done = ask("subscriptions", "cancel-replay", mine, str(replay["id"]))
    assert (done.returncode, done.stdout) == (0, f"Cancelled the replay {replay['id']}.\n")
    again = ask("subscriptions", "cancel-replay", mine, str(replay["id"]))
    assert again.returncode == 1
    assert "no running replay with this id" in again.stderr
    assert len(sink.posts) == 6


def test_what_failed_is_replayed_alone_or_tried_once_more(
    ask: Callable[..., Any], mine: str, sink: Sink, publish: Callable[[int], list[int]]
) -> None:
    (sound,) = publish(1)
    sink.status = 500
    failed = publish(2)
    until(lambda: [state_of(ask, position) for position in failed] == ["exhausted"] * 2)
    sink.status = 204
    (delivery,) = records(ask("deliveries", "list", "--event", str(failed[0]), "--json"))
    said = ask("deliveries", "retry", delivery["id"])
    assert said.returncode == 0
    assert f"letta-gateway deliveries show {delivery['id']}" in said.stdout
    until(lambda: state_of(ask, failed[0]) == "delivered")
    (shown,) = records(ask("deliveries", "show", delivery["id"], "--json"))
    assert [attempt["cause"] for attempt in shown["attempts"]] == ["first", "manual"]
    since = ("--since", "2000-01-01T00:00:00Z", "--only", "failed")
    assert records(ask("subscriptions", "replay", mine, *since, "--dry-run", "--json"))[0]["count"] == 1
    assert ask("subscriptions", "replay", mine, *since).returncode == 0
    until(lambda: state_of(ask, failed[1]) == "delivered")
    until(lambda: records(ask("subscriptions", "replays", mine, "--json")) == [])
    assert state_of(ask, sound) == "delivered"
    assert len(sink.posts) == 5
    assert records(ask("deliveries", "retry", delivery["id"], "--json"))[0]["id"] == delivery["id"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("subscriptions", "replay", "sub_x"), "--from-position"),
        (("subscriptions", "replay", "sub_x", "--since", "x", "--from-position", "1"), "either --since"),
        (("subscriptions", "replay", "sub_x", "--from-position", "0"), "--from-position"),
        (("subscriptions", "replay", "sub_x", "--from-position", "1", "--only", "some"), "--only"),
        (("subscriptions", "replay"), "ID"),
        (("subscriptions", "test"), "ID"),
        (("subscriptions", "cancel-replay", "sub_x"), "REPLAY"),
        (("subscriptions", "cancel-replay", "sub_x", "0"), "REPLAY"),
        (("deliveries", "retry"), "ID"),
    ],
)
def test_wrong_usage(command: Any, dev: Any, arguments: Any, what: str) -> None:
    result = command(*arguments, cwd=dev.data_dir.parent)
    assert result.returncode == 2, result.stderr
    assert what in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("subscriptions", "test", "sub_nothing"), "There is no subscription with this id."),
        (("subscriptions", "replay", "sub_nothing", "--from-position", "1"), "There is no subscription"),
        (("subscriptions", "replays", "sub_nothing"), "There is no subscription"),
        (("deliveries", "retry", "dlv_nothing"), "There is no delivery with this id."),
        (("deliveries", "retry", "dlv_a?b=c"), "There is no delivery with this id."),
    ],
)
def test_what_is_not_there(ask: Callable[..., Any], arguments: Any, what: str) -> None:
    result = ask(*arguments)
    assert result.returncode == 1
    assert what in result.stderr
    assert result.stdout == ""


def test_what_the_gateway_refuses_is_told_with_its_member(ask: Callable[..., Any], mine: str) -> None:
    replay = ask("subscriptions", "replay", mine, "--since", "2026-02-30T00:00:00Z")
    assert replay.returncode == 2
    assert "--since: '2026-02-30T00:00:00Z' is no time" in replay.stderr
    ahead = ask("subscriptions", "replay", mine, "--from-position", "999999999")
    assert "/from_position: the log ends before it" in ahead.stderr
