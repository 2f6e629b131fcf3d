"""`listen --forward`: what is posted to the local URL, what its answers mean, and that nothing is kept."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from gateway.cli.forwarding import Forwarded, Forwarder
from gateway.cli.receiver import Answer, Receiver
from gateway.cli.signatures import check_letta, check_v1
from gateway.cli.sse import ServerEvent
from gateway.errors import AnswerError, CheckFailed
from schemas import parse_http

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Answers = Callable[[httpx.Request], httpx.Response]


def event(position: int, **members: Any) -> ServerEvent:
    found = {
        "specversion": "1.0",
        "id": f"e{position}",
        "source": "/s",
        "type": "com.letta.agent.run.completed",
        "datacontenttype": "application/json",
        "data": {"n": position},
    }
    given = {name: value for name, value in (found | members).items() if value is not None}
    return ServerEvent(str(position), json.dumps(given))


def answered(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, content=iter([b"ok"]))


class Run:
    """One run over a scripted receiver: what was posted, what was settled, how long was waited."""

    def __init__(self, *answers: int | httpx.Response | httpx.TransportError, secret: str | None = None):
        self.answers = list(answers)
        self.posts: list[httpx.Request] = []
        self.settled: list[Forwarded] = []
        self.waits: list[float] = []
        self.forwarder = Forwarder(
            "http://127.0.0.1:9/hook",
            "sub_abc",
            secret=secret,
            transport=httpx.MockTransport(self._answer),
            sleep=self.waits.append,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.posts.append(request)
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answered(answer) if isinstance(answer, int) else answer

    def of(self, *events: ServerEvent, count: int = 1_000) -> "Run":
        def settled(forwarded: Forwarded) -> bool:
            self.settled.append(forwarded)
            return len(self.settled) < count

        self.forwarder.run(events, settled)
        return self


def test_it_is_posted_as_the_gateway_would(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(secret=SECRET).of(event(7, traceparent=TRACE, tracestate="a=b", partitionkey="agent-1"))
    (post,) = run.posts
    headers = dict(post.headers)
    assert (post.method, str(post.url)) == ("POST", "http://127.0.0.1:9/hook")
    assert post.content == b'{"n": 7}'
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Letta-Webhook/1.0"
    assert headers["x-letta-event"] == "agent.run.completed"
    assert headers["x-letta-delivery"] == headers["webhook-id"] == "fwd_abc_7"
    assert (headers["ce-id"], headers["ce-traceparent"], headers["tracestate"]) == ("e7", TRACE, "a=b")
    assert headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
    assert headers["traceparent"] != TRACE
    assert check_v1(SECRET, headers, post.content).good
    assert check_letta(SECRET, headers, post.content).good
    (read,) = parse_http(list(headers.items()), post.content, events_max=1)
    assert read.attributes["partitionkey"] == "agent-1"
    assert capsys.readouterr().err == ""


def test_without_a_secret_it_is_not_signed_and_has_its_id_all_the_same() -> None:
    (post,) = Run().of(event(7)).posts
    assert post.headers["webhook-id"] == "fwd_abc_7"
    assert "webhook-signature" not in post.headers
    assert "x-letta-signature" not in post.headers


def test_an_event_that_binary_mode_cannot_carry_goes_structured() -> None:
    (post,) = Run().of(event(7, data=None, datacontenttype=None)).posts
    assert post.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(post.content)["id"] == "e7"
    assert "ce-id" not in post.headers


def test_it_is_tried_again_until_it_is_taken_and_order_is_kept() -> None:
    run = Run(500, httpx.ConnectError("x"), httpx.ReadTimeout("x"), 404, 503, 503, 503, 200, 200)
    run.of(event(1), event(2))
    assert [dict(post.headers)["webhook-id"] for post in run.posts] == ["fwd_abc_1"] * 8 + ["fwd_abc_2"]
    assert [(one.attempts, one.status, one.delivered) for one in run.settled] == [
        (8, 200, True),
        (1, 200, True),
    ]
    assert run.waits == [0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0]


def test_retry_after_is_kept() -> None:
    run = Run(answered(429, **{"Retry-After": "7"}), 429).of(event(1))
    assert run.waits == [7.0, 1.0]


@pytest.mark.parametrize("status", [301, 400, 415, 422])
def test_what_is_refused_for_good_is_told_and_passed(status: int) -> None:
    run = Run(status).of(event(1), event(2))
    assert [(one.status, one.delivered) for one in run.settled] == [(status, False), (204, True)]
    assert run.waits == []


@pytest.mark.parametrize("answer", [answered(410), answered(429, **{"Retry-After": "90000"})])
def test_a_receiver_that_wants_no_more_ends_it(answer: httpx.Response) -> None:
    run = Run(204, answer)
    with pytest.raises(CheckFailed) as failure:
        run.of(event(4), event(5))
    assert "--after 4" in str(failure.value)
    assert run.forwarder.position == 4


def test_the_place_moves_over_what_is_not_for_it_and_stops_where_it_is_enough() -> None:
    run = Run().of(ServerEvent("3", None), event(5), ServerEvent("9", None))
    assert run.forwarder.position == 9
    run = Run().of(event(5), event(6), count=1)
    assert (run.forwarder.position, len(run.posts)) == (5, 1)


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1_000

    run = Run(httpx.Response(200, content=endless())).of(event(1))
    assert run.settled[0].delivered


@pytest.mark.parametrize(
    "one", [ServerEvent("1", "{}"), ServerEvent("x", event(1).data), ServerEvent("1", "[")]
)
def test_what_is_no_event_is_told(one: ServerEvent) -> None:
    with pytest.raises(AnswerError, match="not a CloudEvent"):
        Run().of(one)


# Against a running gateway.


@pytest.fixture
def publish(dev: Any) -> Callable[..., list[int]]:
    def run(*numbers: int, type_: str = "cli.forwarded") -> list[int]:
        events = [
            {"specversion": "1.0", "id": f"{type_}-{n}", "source": "/cli", "type": type_, "data": {"n": n}}
            for n in numbers
        ]
        answer = httpx.post(
            dev.said["url"] + "/v1/events",
            content=json.dumps(events),
            headers={
                "authorization": f"Bearer {dev.said['token']}",
                "content-type": "application/cloudevents-batch+json",
            },
        )
        assert answer.status_code == 202, answer.text
        positions: list[int] = answer.json()["positions"]
        return positions

    return run


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    return lambda *arguments: command(*arguments, "--data-dir", str(dev.data_dir))


@pytest.fixture
def made(ask: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    found = json.loads(
        ask("subscriptions", "create", "--json", "--sink", "pull:", "--type", "cli.forwarded").stdout
    )
    yield found
    ask("subscriptions", "delete", found["id"])


def test_from_the_gateway_to_a_listener_on_this_machine(
    start: Callable[..., Any],
    dev: Any,
    made: dict[str, Any],
    publish: Callable[..., list[int]],
) -> None:
    secret = made["secret"]
    listener = start("listen", "--port", "0", "--secret", secret, "--count", "3", "--json")
    url = re.search(r"http://\S+", listener.said("Listening on"))
    assert url is not None
    first = publish(1, 2)
    where = ("--data-dir", str(dev.data_dir))
    forward = start(
        *("listen", "--forward", url[0], "--subscription", made["id"], "--secret", secret, "--json", *where)
    )
    got = [json.loads(forward.line()) for _ in range(2)]
    assert [one["position"] for one in got] == first
    assert [one["delivered"] for one in got] == [True, True]
    (third,) = publish(3)
    assert json.loads(forward.line())["position"] == third
    heard = [json.loads(listener.line()) for _ in range(3)]
    assert [one["events"][0]["id"] for one in heard] == [f"cli.forwarded-{n}" for n in (1, 2, 3)]
    assert {one["verified_v1"]["verdict"] for one in heard} == {"verified"}
    assert [one["delivery_id"] for one in heard] == [one["delivery_id"] for one in [*got, heard[2]]]
    assert listener.popen.wait(timeout=20) == 0
    assert forward.end(signal.SIGTERM) == 0
    said = forward.stderr.read_text()
    assert "Traceback" not in said
    assert f"3 forwarded, 0 of them not taken. Go on with --after {third}." in said


def test_after_goes_on_and_count_ends_it(
    ask: Callable[..., Any], made: dict[str, Any], publish: Callable[..., list[int]]
) -> None:
    first, second, third = publish(11, 12, 13)
    answers = iter([200, 422])
    with start_blocking_portal() as portal:
        receiver = portal.call(_made, lambda _: Answer(next(answers)))
        with portal.wrap_async_context_manager(receiver.running()):
            done = ask(
                *("listen", "--forward", receiver.url, "--subscription", made["id"]),
                *("--after", str(first), "--count", "2"),
            )
    assert done.returncode == 1
    assert "1 of 2 were not taken" in done.stderr
    assert f"--after {third}" in done.stderr
    assert f"{second} → 200 cli.forwarded" in done.stdout
    assert f"{third} → 422 cli.forwarded" in done.stdout


async def _made(respond: Any) -> Receiver:
    return Receiver(respond=respond)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--forward", "http://127.0.0.1:9/"), "--subscription"),
        (("--forward", "ftp://x", "--subscription", "sub_x"), "http://"),
        (("--forward", "http://127.0.0.1:9/", "--subscription", "sub_x", "--port", "0"), "--port"),
        (("--subscription", "sub_x"), "--forward"),
        (("--port", "0", "--after", "3"), "--forward"),
    ],
)
def test_wrong_usage(ask: Callable[..., Any], arguments: tuple[str, ...], what: str) -> None:
    done = ask("listen", *arguments)
    assert done.returncode == 2
    assert what in done.stderr


def test_no_such_subscription(ask: Callable[..., Any]) -> None:
    done = ask("listen", "--forward", "http://127.0.0.1:9/", "--subscription", "sub_x")
    assert done.returncode == 1
    assert "There is no subscription with this id." in done.stderr
