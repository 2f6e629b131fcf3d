"""What a process tells of its attempts, on the virtual clock: after a crash, and after a replay a day later."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace import StatusCode
from simulation.clock import EPOCH_US
from simulation.small import Engine, hangs, well

from gateway.domain.sending import Answer
from gateway.domain.subscription import Config, Format
from gateway.ports import NewEntry, ReplayRange
from otel.redaction import Redaction
from otel.sdk import SdkTracing
from otel.traceparent import derive
from schemas import build

Virtually = Callable[[Coroutine[Any, Any, None]], None]
DAY_S = 86_400


def traced(
    sampler: Any = DEFAULT_ON, masked: Callable[[str], str] = str
) -> tuple[SdkTracing, Callable[[str], list[ReadableSpan]]]:
    exporter = InMemorySpanExporter()
    tracing = SdkTracing(sampler, Resource({}), [SimpleSpanProcessor(exporter)], "1", masked)

    def spans(name: str) -> list[ReadableSpan]:
        found = [span for span in exporter.get_finished_spans() if span.name == name]
        return sorted(found, key=lambda span: span.start_time)

    return tracing, spans


def places(spans: list[ReadableSpan]) -> list[tuple[str, str]]:
    return [(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") for span in spans]


def linked(span: ReadableSpan) -> list[tuple[str, str]]:
    return [(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in span.links]


def test_a_replay_a_day_later_is_in_the_same_trace_and_linked(virtually: Virtually) -> None:
    async def main() -> None:
        tracing, spans = traced()
        engine = Engine(tracing=tracing)
        async with engine.running():
            record = await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(record.number, position) == ["delivered"])
            await asyncio.sleep(DAY_S)
            await engine.commands.request_replay(
                record.number, ReplayRange(position, position, only_failed=False)
            )
            engine.tell(record.number)
            await engine.until(lambda: len(engine.decisions(record.number, position)) == 2)
        first, later = spans("POST")
        assert later.start_time - first.start_time >= DAY_S * 1_000_000_000
        assert later.start_time // 1_000 >= EPOCH_US + DAY_S * 1_000_000
        assert later.attributes["letta_gateway.attempt.cause"] == "replay"
        assert later.attributes["http.request.resend_count"] == 1
        assert linked(first) == []
        assert linked(later) == places([first])
        # New spans, in the trace of the event, below what began it.
        attempts = engine.store.attempts[record.number, position]
        assert places([first, later]) == [(attempt.trace_id, attempt.span_id) for attempt in attempts]
        origin = derive("/tests", engine.store.rows[position - 1].entry.id)
        assert {f"{span.parent.span_id:016x}" for span in (first, later)} == {origin.span_id}

    virtually(main())


def test_a_retry_after_a_crash_is_linked_to_the_attempt_that_was_journaled(virtually: Virtually) -> None:
    async def main() -> None:
        tracing, spans = traced()
        answers = iter((500, 500, 204))

        async def script(_number: int, _position: int) -> int:
            return next(answers)

        engine = Engine(script=script, tracing=tracing)
        async with engine.killed_at_end():
            record = await engine.subscribe(Config(retry=(60.0, 60.0)))
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(record.number, position) == ["failed"])
        async with engine.running():
            await engine.until(lambda: len(engine.decisions(record.number, position)) == 3)
        posts = spans("POST")
        assert [post.attributes.get("http.request.resend_count") for post in posts] == [None, 1, 2]
        assert [linked(post) for post in posts] == [[], places(posts[:1]), places(posts[1:2])]
        assert [post.status.description for post in posts] == [None] * 3
        assert [post.status.status_code for post in posts] == [StatusCode.ERROR] * 2 + [StatusCode.UNSET]

    virtually(main())


def test_what_a_process_died_on_is_linked_to_what_it_had_sent(virtually: Virtually) -> None:
    """Its span is told by nobody, and stands in the receiver's log."""

    async def main() -> None:
        tracing, spans = traced()
        engine = Engine(hangs, tracing=tracing)
        async with engine.killed_at_end():
            await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: bool(engine.store.pending))
        engine.script = well
        async with engine.running():
            await engine.until(lambda: engine.decisions(1, position) == ["delivered"])
        sent = [dict(request.headers)["traceparent"].split("-") for request in engine.requests]
        (post,) = spans("POST")
        assert linked(post) == [(sent[0][1], sent[0][2])]
        assert places([post]) == [(sent[1][1], sent[1][2])]
        assert post.attributes is not None
        assert post.attributes["http.request.resend_count"] == 1

    virtually(main())


def test_what_is_parked_keeps_the_trace_that_was_sent(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine(hangs)
        async with engine.killed_at_end():
            await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: bool(engine.store.pending))
        for died in (1, 2):
            async with engine.killed_at_end():
                await engine.until(lambda died=died: len(engine.posts) == died + 1)  # type: ignore[misc]
        async with engine.running():
            await engine.until(lambda: engine.decisions(1, position) == ["exhausted"])
        (parked,) = engine.store.attempts[1, position]
        sent = [tuple(dict(request.headers)["traceparent"].split("-")[1:3]) for request in engine.requests]
        assert (parked.trace_id, parked.span_id) in sent

    virtually(main())


def test_what_is_not_sampled_makes_no_span(virtually: Virtually) -> None:
    async def main() -> None:
        tracing, spans = traced(ALWAYS_OFF)
        engine = Engine(tracing=tracing)
        async with engine.running():
            record = await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(record.number, position) == ["delivered"])
        assert spans("POST") == spans("match") == []

    virtually(main())


def test_a_test_of_a_subscription_begins_a_trace_with_its_match(virtually: Virtually) -> None:
    async def main() -> None:
        tracing, spans = traced()
        engine = Engine(tracing=tracing)
        async with engine.running():
            record = await engine.subscribe(types=["never"])
            position = await engine.commands.test(record.number)
            engine.tell(record.number)
            await engine.until(lambda: engine.decisions(record.number, position) == ["delivered"])
        (match,), (post,) = spans("match"), spans("POST")
        assert match.parent is None
        assert post.parent.span_id == match.context.span_id

    virtually(main())


def test_a_failure_of_the_exporter_is_nobody_elses(virtually: Virtually) -> None:
    class Broken(SimpleSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError(span.name)

    async def main() -> None:
        tracing = SdkTracing(DEFAULT_ON, Resource({}), [Broken(InMemorySpanExporter())], "1")
        engine = Engine(tracing=tracing)
        async with engine.running():
            record = await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(record.number, position) == ["delivered"])

    virtually(main())


def test_what_was_answered_is_told_with_its_status(virtually: Virtually) -> None:
    async def main() -> None:
        tracing, spans = traced()

        async def script(_number: int, _position: int) -> Answer:
            return Answer(status=307, headers=(), body=b"", truncated=False, duration_s=0.0)

        engine = Engine(script=script, tracing=tracing)
        async with engine.running():
            record = await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(record.number, position) == ["exhausted"])
        (post,) = spans("POST")
        assert post.attributes["http.response.status_code"] == 307
        assert post.attributes["letta_gateway.attempt.decision"] == "exhausted"
        # By the HTTP conventions no error of the span, though the delivery failed.
        assert "error.type" not in post.attributes
        assert post.status.status_code is StatusCode.UNSET

    virtually(main())


def test_a_batch_is_sampled_where_one_of_its_events_is_also_on_retries_and_in_halves(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        tracing, spans = traced()
        answers = iter((500, 413))

        async def script(_number: int, _position: int) -> int:
            return next(answers, 204)

        engine = Engine(script=script, tracing=tracing)
        async with engine.running():
            record = await engine.subscribe(
                Config(format=Format.BATCH, batch_events_max=2, batch_age_s=0.2, retry=(1.0, 1.0))
            )
            entries = [traced_entry(flag) for flag in ("00", "01")]
            appended = await engine.log.append(entries)
            engine.dispatcher.appended()
            last = [item.position for item in appended]
            await engine.until(
                lambda: all(engine.decisions(record.number, one)[-1:] == ["delivered"] for one in last)
            )
        headers = [{name.lower(): value for name, value in one.headers} for one in engine.requests]
        # Twice both, then each alone: the one that nobody samples has no span.
        assert [one["traceparent"][-2:] for one in headers] == ["01", "01", "00", "01"]
        sampled = [one["traceparent"].split("-")[2] for one in headers if one["traceparent"].endswith("1")]
        assert [span_id for _, span_id in places(spans("POST"))] == sampled

    virtually(main())


def test_what_strangers_say_is_told_without_secrets_and_with_the_state_of_its_trace(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        tracing, spans = traced(masked=Redaction(["swordfish"]).text)
        engine = Engine(tracing=tracing)
        async with engine.running():
            record = await engine.subscribe()
            told = {"id": "a swordfish", "subject": "redis://u:p@host", "tracestate": "vendor=1"}
            (appended,) = await engine.log.append([traced_entry("01", **told)])
            engine.dispatcher.appended()
            await engine.until(lambda: engine.decisions(record.number, appended.position) == ["delivered"])
        (post,), (match,) = spans("POST"), spans("match")
        assert post.attributes["cloudevents.event_id"] == "a ***"
        assert match.attributes["cloudevents.event_id"] == "a ***"
        assert post.attributes["cloudevents.event_subject"] == "redis://***@host"
        assert post.context.trace_state.to_header() == "vendor=1"
        assert match.context.trace_state.to_header() == "vendor=1"

    virtually(main())


def traced_entry(flag: str, **attributes: str) -> NewEntry:
    made = {"id": f"e{flag}", "source": "/tests", "type": "test.a", **attributes}
    made["traceparent"] = f"00-{'ab' * 16}-{'cd' * 8}-{flag}"
    made["specversion"] = "1.0"
    envelope = build(made, {})
    return NewEntry(type="test.a", source="/tests", id=made["id"], envelope=envelope.raw)
