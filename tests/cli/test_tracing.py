"""`letta-gateway trace`: the waterfall, from the log alone."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.cli.waterfall import BAR_CHARS, Line, Scale, delivery_lines, rows, shared_lines, shown

SINK = "http://127.0.0.1:9/"
"""Nothing listens there: every attempt fails at once."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def until(condition: Callable[[], Any], *, within_s: float = 20) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        return command(*arguments, "--data-dir", str(dev.data_dir))

    return run


def records(result: Any) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def failing(ask: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """An event of a trace, emitted by the emitter, that two attempts could not deliver."""
    config = '{"retry": [0.05]}'
    arguments = ("--type", "com.example.traced", "--config", config, "--json")
    (made,) = records(ask("subscriptions", "create", "--sink", SINK, *arguments))
    emit = ("emit", "com.example.traced", "--source", "https://e/c", "--data", "1", "--traceparent", PARENT)
    (emitted,) = records(ask(*emit, "--json"))
    until(lambda: ask("trace", emitted["id"], "--json").returncode == 0)
    yield until(
        lambda: next(
            (
                one
                for one in records(ask("trace", emitted["id"], "--json"))
                if [item["state"] for item in one["deliveries"]] == ["exhausted"]
            ),
            None,
        )
    )
    ask("subscriptions", "delete", made["id"])


def test_a_waterfall_whose_times_add_up(ask: Callable[..., Any], failing: dict[str, Any]) -> None:
    (delivery,) = failing["deliveries"]
    parts = [gap["duration_ms"] for gap in (*failing["gaps"], *delivery["gaps"])]
    parts += [attempt["duration_ms"] for attempt in delivery["attempts"]]
    assert round(sum(parts), 3) == round(delivery["duration_ms"], 3)

    text = ask("trace", str(failing["position"])).stdout
    for step in ("emitted", "spooled", "published", "appended", "matched", "match and queue", "retry delay"):
        assert step in text
    assert f"trace {TRACE}, begun by the producer, sampled; came by stream" in text
    assert "attempt 1 (first): connect" in text
    assert "attempt 2 (retry): connect" in text
    assert f"{shown(delivery['duration_ms'])} from its beginning to the end of the last attempt" in text
    for attempt in delivery["attempts"]:
        assert attempt["span_id"] in text
    # Each line's time is the one before it and what lies between.
    at, between = 0.0, 0.0
    for line in text.splitlines():
        moment = re.match(r"\+([\d.]+) ms", line)
        lasts = re.search(r"(?<![\d+.])([\d.]+) ms {2,}", line.removeprefix(moment[0]) if moment else line)
        if moment:
            assert round(float(moment[1]), 3) == round(at + between, 3), line
            at, between = float(moment[1]), float(lasts[1]) if lasts else 0.0
        elif lasts:
            between += float(lasts[1])


def test_whatever_names_it_finds_it(ask: Callable[..., Any], failing: dict[str, Any]) -> None:
    position = failing["position"]
    delivery = failing["deliveries"][0]["id"]
    for target in (str(position), failing["event"]["id"], delivery):
        assert [one["position"] for one in records(ask("trace", target, "--json"))] == [position], target
    for target in (TRACE, TRACE.upper(), PARENT):
        found = records(ask("trace", target, "--json"))
        assert position in [one["position"] for one in found]
        assert all(one["trace_id"] == TRACE for one in found)


def test_what_a_receiver_logs_of_a_batch_finds_its_events(ask: Callable[..., Any]) -> None:
    """Its `webhook-id`, its trace, or its `traceparent`: a batch is posted in a trace of its own."""
    config = '{"retry": [], "format": "batch", "batch_events_max": 2, "batch_age_s": 60}'
    arguments = ("--type", "com.example.batched", "--config", config, "--json")
    (made,) = records(ask("subscriptions", "create", "--sink", SINK, *arguments))
    emit = ("emit", "com.example.batched", "--source", "https://e/c", "--data", "1", "--json")
    emitted = [records(ask(*emit))[0]["id"] for _ in range(2)]
    listing = ("deliveries", "list", "--subscription", made["id"], "--state", "exhausted", "--json")
    done = until(lambda: next((found for found in [records(ask(*listing))] if len(found) == 2), None))
    (attempt,) = done[0]["attempts"]
    batch, trace_id = attempt["batch"], attempt["trace_id"]
    for target in (batch, trace_id, f"00-{trace_id}-{attempt['span_id']}-01"):
        found = records(ask("trace", target, "--json"))
        assert sorted(one["event"]["id"] for one in found) == sorted(emitted), target
    assert f"2 events that were posted together as {batch}" in ask("trace", batch).stdout
    assert f"2 events posted together in {trace_id}" in ask("trace", trace_id).stdout
    for option in (("--batch", batch), ("--trace-id", trace_id)):
        listed = records(ask("deliveries", "list", *option, "--json"))
        assert [one["id"] for one in listed] == [one["id"] for one in done]
    ask("subscriptions", "delete", made["id"])


def test_the_events_of_a_trace_are_drawn_together(ask: Callable[..., Any], failing: dict[str, Any]) -> None:
    emit = (
        "emit",
        "com.example.traced.too",
        "--source",
        "https://e/c",
        "--data",
        "2",
        "--traceparent",
        PARENT,
    )
    (emitted,) = records(ask(*emit, "--json"))
    until(lambda: emitted["id"] in ask("trace", TRACE, "--json").stdout)
    text = ask("trace", TRACE).stdout
    assert f"events of the trace {TRACE}" in text
    assert failing["event"]["id"] in text
    assert emitted["id"] in text
    assert "It was delivered to no subscription of yours yet" in text
    cut = ask("trace", TRACE, "--limit", "1")
    assert "only the first 1 events are shown" in cut.stderr
    assert emitted["id"] not in cut.stdout


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("evt_none", "There is no event with the id evt_none."),
        ("999999", "There is no event at this position."),
        ("0" * 31 + "1", "There is no event of the trace 0000000000000000000000000000000"),
        ("dlv_none", "There is no delivery"),
        ("bat_none", "There is no batch with the id bat_none."),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(ask: Callable[..., Any], target: str, said: str) -> None:
    result = ask("trace", target)
    assert result.returncode == 1
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.split(". ")) > 1  # and what to do


@pytest.mark.parametrize("event_id", ["a1" * 16, "12345678901234567890", "77777777", "dlv_mine", "bat_mine"])
def test_an_id_that_looks_like_something_else_is_found(ask: Callable[..., Any], event_id: str) -> None:
    emit = ("emit", "com.example.odd", "--source", "https://e/odd", "--data", "1", "--event-id", event_id)
    assert ask(*emit).returncode == 0
    (found,) = records(until(lambda: once(ask("trace", event_id, "--json"))))
    assert found["event"]["id"] == event_id


def test_what_a_text_names_as_well_is_said(ask: Callable[..., Any], failing: dict[str, Any]) -> None:
    position = str(failing["position"])
    for source in ("https://e/one", "https://e/two"):
        emit = ("emit", "com.example.odd", "--source", source, "--data", "1", "--event-id", position)
        assert ask(*emit).returncode == 0
    said = until(
        lambda: next((one for one in [ask("trace", position, "--json")] if one.stderr.count(",") == 1), None)
    )
    assert [one["position"] for one in records(said)] == [failing["position"]]
    assert (
        f"{position} was taken for a position. It is an event's id as well: See also position" in said.stderr
    )
    for source in ("https://e/one", "https://e/two"):
        emit = ("emit", "com.example.odd", "--source", source, "--data", "1", "--event-id", "twice")
        assert ask(*emit).returncode == 0
    until(lambda: "Several sources have an event with this id" in ask("trace", "twice").stderr)


def test_what_is_to_be_tried_again_says_when(ask: Callable[..., Any]) -> None:
    arguments = ("--type", "com.example.later", "--config", '{"retry": [3600]}', "--json")
    (made,) = records(ask("subscriptions", "create", "--sink", SINK, *arguments))
    (emitted,) = records(ask("emit", "com.example.later", "--source", "https://e/c", "--data", "1", "--json"))
    text = until(
        lambda: next(
            (one for one in [ask("trace", emitted["id"]).stdout] if "attempt 1 (first)" in one), None
        )
    )
    ask("subscriptions", "delete", made["id"])
    assert re.search(r"dlv_\S+ to sub_\S+, next attempt at 20\d\d-", text)


@pytest.mark.parametrize(
    ("type_", "data"),
    [("com.example.begins", "1"), ("agent.step.completed", '{"step_id": "step-1", "status": "completed"}')],
)
def test_an_emit_without_a_trace_begins_one(ask: Callable[..., Any], type_: str, data: str) -> None:
    (emitted,) = records(ask("emit", type_, "--data", data, "--json"))
    (told,) = records(until(lambda: once(ask("trace", emitted["id"], "--json"))))
    # By the emitter, in a process that does not trace: the gateway tells its spans.
    assert (told["trace_begins"], told["sampled"]) == ("emitter", True)


def once(result: Any) -> Any:
    return result if result.returncode == 0 else None


def test_a_time_before_the_beginning_has_one_sign() -> None:
    line = Line("◆", "published", -5.0, None)
    ((at, *_),) = rows([line], Scale([line]))
    assert at == "-5.000 ms"


def test_nothing_to_look_for_is_wrong_usage(ask: Callable[..., Any]) -> None:
    assert ask("trace", " ").returncode == 2


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0.000 ms"),
        (0.001, "0.001 ms"),
        (-12.3456, "-12.346 ms"),
        (999.999, "999.999 ms"),
        (1_000, "1.000000 s"),
        (59_999.999, "59.999999 s"),
        (60_000, "00:01:00.000000"),
        (86_400_000 + 3_600_000 + 1, "1 d 01:00:00.001000"),
    ],
)
def test_times_are_shown_to_the_microsecond(milliseconds: float, text: str) -> None:
    assert shown(milliseconds) == text


def attempt(number: int, lasts_ms: float, decision: str) -> dict[str, Any]:
    return {
        "number": number,
        "cause": "first",
        "status": 200,
        "error_class": None,
        "decision": decision,
        "duration_ms": lasts_ms,
        "span_id": "b" * 16,
    }


def test_a_replay_a_day_later_leaves_the_rest_to_be_seen() -> None:
    told = {
        "steps": [
            {"step": "emitted", "at": "t", "since_begin_ms": 0.0, "unknown": None, "span_id": None},
            {"step": "appended", "at": "t", "since_begin_ms": 0.4, "unknown": None, "span_id": None},
            {"step": "matched", "at": None, "since_begin_ms": None, "unknown": "no", "span_id": None},
        ],
        "gaps": [{"name": "before the log", "from": "emitted", "to": "appended", "duration_ms": 0.4}],
    }
    delivery = {
        "gaps": [
            {"name": "match and queue", "duration_ms": 1.0},
            {"name": "until the replay", "duration_ms": 86_400_000.0},
        ],
        "attempts": [attempt(1, 2.0, "failed"), attempt(2, 3.0, "delivered")],
    }
    lines = [*shared_lines(told, 0.0), *delivery_lines(delivery, 0.4)]
    scale = Scale(lines)
    bars = [scale.bar(line).plain for line in lines]
    assert all(len(bar) <= BAR_CHARS + 1 for bar in bars)
    widths = {line.what: len(bar.strip()) for line, bar in zip(lines, bars, strict=True)}
    assert all(width >= 1 for width in widths.values())
    assert widths["  until the replay"] == max(widths.values()) < BAR_CHARS / 1.2
    assert bars[-1].endswith("█")
