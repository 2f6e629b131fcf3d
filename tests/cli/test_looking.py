"""What an on-call engineer asks a running gateway by command."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Records = list[dict[str, Any]]
SINK = "http://127.0.0.1:9/"
"""Nothing listens there: every attempt fails at once."""


def until(condition: Callable[[], bool], *, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def records(result: Any) -> Records:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        return command(*arguments, "--data-dir", str(dev.data_dir))

    return run


@pytest.fixture
def subscribe(ask: Callable[..., Any]) -> Iterator[Callable[..., str]]:
    made: list[str] = []

    def create(*arguments: str) -> str:
        found = records(ask("subscriptions", "create", "--sink", SINK, "--json", *arguments))[0]
        made.append(found["id"])
        return made[-1]

    yield create
    for subscription_id in made:
        ask("subscriptions", "delete", subscription_id)


@pytest.fixture
def publish(ask: Callable[..., Any]) -> Callable[[str], str]:
    """Emit an event of this type and return its position."""

    def run(type_: str) -> str:
        emitted = records(ask("emit", type_, "--source", "https://e/c", "--data", "1", "--json"))[0]
        listing = ("events", "--type", type_, "--json")
        until(lambda: emitted["id"] in ask(*listing).stdout)
        return next(
            str(item["position"]) for item in records(ask(*listing)) if item["event"]["id"] == emitted["id"]
        )

    return run


def test_explain_says_why_and_why_not(
    ask: Callable[..., Any], subscribe: Callable[..., str], publish: Callable[[str], str]
) -> None:
    mine = subscribe("--type", "com.example.why", "--config", '{"retry": []}')
    other = subscribe(
        "--filter", '{"any": [{"exact": {"type": "x"}}, {"not": {"prefix": {"type": "com."}}}]}'
    )
    position = publish("com.example.why")

    def explained(subscription_id: str) -> dict[str, Any]:
        return records(ask("explain", position, subscription_id, "--json"))[0]

    until(lambda: explained(mine)["verdict"] == "exhausted")
    assert [item["error_class"] for item in explained(mine)["delivery"]["attempts"]] == ["connect"]
    assert explained(other)["verdict"] == "no_match"

    shown = ask("explain", position, other).stdout
    assert shown.startswith(
        "no_match: /filters/0/any does not match: none of the 2 filters in `any` matches.\n"
    )
    assert "  /filters/0/any/1/not/prefix/type" in shown
    assert "com.example.why" in shown
    assert "exhausted: Given up with attempt 1 at" in ask("explain", position, mine).stdout

    nowhere = records(ask("explain", "999999", mine, "--json"))[0]
    assert nowhere["verdict"] == "not_in_log"
    unknown = ask("explain", position, "sub_none")
    assert unknown.returncode == 1
    assert "There is no subscription with this id." in unknown.stderr


def test_deliveries_are_listed_and_shown_with_their_attempts(
    ask: Callable[..., Any], subscribe: Callable[..., str], publish: Callable[[str], str]
) -> None:
    mine = subscribe("--type", "com.example.listed", "--config", '{"retry": []}')
    first, second = publish("com.example.listed"), publish("com.example.listed")

    def listed(*arguments: str) -> Records:
        return records(ask("deliveries", "list", "--subscription", mine, "--json", *arguments))

    until(lambda: len(listed("--state", "exhausted")) == 2)
    assert [str(item["position"]) for item in listed()] == [second, first]
    assert len(listed("--limit", "1")) == 1
    assert listed("--state", "delivered") == listed("--status-code", "500") == []
    assert listed("--until", "2000-01-01T00:00:00Z") == []
    delivery = listed()[0]["id"]
    assert f"{delivery}  {second}" in ask("deliveries", "list", "--subscription", mine).stdout
    # Without a subscription, by what the events are.
    of_type = ("--type", "com.example.listed")
    assert records(ask("deliveries", "list", "--undelivered", *of_type, "--json")) == listed()
    row = ask("deliveries", "--undelivered", *of_type).stdout.splitlines()[1].split()
    assert row[:4] == [delivery, second, "com.example.listed", "exhausted"]
    assert records(ask("deliveries", "list", "--state", "delivered", *of_type, "--json")) == []
    for option, value in (("--agent", "none"), ("--run", "none"), ("--trace", "F" * 32)):
        assert records(ask("deliveries", "list", option, value, "--json")) == []
    refused = ask("deliveries", "list", "--trace", "none")
    assert (refused.returncode, "trace_id: 32 hex digits" in refused.stderr) == (1, True)

    (attempt,) = records(ask("attempts", delivery, "--json"))
    assert (attempt["number"], attempt["error_class"]) == (1, "connect")
    assert "connect" in ask("attempts", delivery).stdout
    # In few words, too.
    assert ask("deliveries", delivery).stdout == ask("deliveries", "show", delivery).stdout
    assert records(ask("deliveries", "--event", second, "--json")) == [
        records(ask("deliveries", delivery, "--json"))[0]
    ]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("list", "--event", "1", "--subscription", "x"), "--event"),
        (("list", "--event", "1", "--state", "pending"), "--state"),
        (("list", "--event", "1", "--undelivered"), "--event"),
        (("list", "--subscription", "x", "--state", "lost"), "exhausted"),
        (("list", "--subscription", "x", "--status-code", "99"), "--status-code"),
        (("nonsense",), "nonsense"),
    ],
)
def test_no_way_to_list_deliveries(ask: Callable[..., Any], arguments: Any, what: str) -> None:
    result = ask("deliveries", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert what in result.stderr


def test_a_secret_is_rotated_and_shown_once(ask: Callable[..., Any], subscribe: Callable[..., str]) -> None:
    mine, own = subscribe(), "whsec_" + "B" * 40
    assert records(ask("subscriptions", "rotate-secret", mine, "--secret", own, "--json"))[0]["secret"] == own
    rotated = ask("subscriptions", "rotate-secret", mine)
    assert "whsec_" in rotated.stdout
    assert "overlap_until" in rotated.stdout
    assert "shown this once" in rotated.stderr
    assert "whsec_" not in ask("subscriptions", "show", mine).stdout
    refused = ask("subscriptions", "rotate-secret", mine, "--secret", "whsec_short")
    assert refused.returncode == 1
    assert "/secret" in refused.stderr


def test_stats_of_a_stream_at_a_glance(ask, subscribe, publish):
    made = subscribe("--type", "looking.stats", "--config", '{"retry": []}')
    publish("looking.stats")
    until(lambda: records(ask("subscriptions", "stats", made, "--json"))[0]["attempts"]["total"] == 1)
    shown = ask("subscriptions", "stats", made, "--window", "600")
    assert shown.returncode == 0, shown.stderr
    lines = {line.split("  ")[0]: line for line in shown.stdout.splitlines() if line}
    assert "600 s" in lines["window"]
    assert "1 exhausted" in lines["attempts"] or "1 refused" in lines["attempts"]
    assert "p99" in shown.stdout.lower()
    assert ask("subscriptions", "stats", "sub_nothing").returncode == 1
