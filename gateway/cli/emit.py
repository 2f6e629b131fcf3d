"""`emit`: one event through the real emitter, as a Letta server would publish it."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.emit_spans import EmitSpans
from gateway.cli.endpoint import DEFAULT_DATA_DIR, read_endpoint
from gateway.cli.options import AsJson, event_names, json_object_option, json_option
from gateway.cli.output import print_record, results
from gateway.errors import FieldError, NoServer, UsageError
from letta_emitter import EmitterSettings, emit_once
from letta_emitter.tracing import written
from otel.origin import emitted_span_id
from otel.traceparent import TraceParent, derive, parse_traceparent
from schemas import (
    SHORT_NAMES,
    TYPE_PREFIX,
    Envelope,
    EnvelopeError,
    LettaEvent,
    build,
    parse_letta_event,
    random_event_id,
)
from schemas.names import JOB_COMPLETED

# Letta's own default organization, and an agent of its pattern: enough to try a subscription out.
_ORGANIZATION = "org-00000000-0000-4000-8000-000000000000"
_AGENT = "agent-00000000-0000-4000-8000-000000000000"
_SOURCE = "urn:letta-gateway:emit"
_US_NS = 1_000
_URL, _STREAM, _SPOOL = (f"LETTA_EMITTER_{name}" for name in ("REDIS_URL", "STREAM", "SPOOL_DIR"))


def emit(
    *,
    event_type: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            help="A Letta event, short or full, or any other type.",
            autocompletion=event_names,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="JSON",
            help='What happened, such as {"step_id": "step-1", "status": "completed"}.',
        ),
    ],
    organization_id: Annotated[
        str | None,
        typer.Option("--organization-id", help="The organization; without it Letta's own default."),
    ] = None,
    agent_id: Annotated[
        str | None,
        typer.Option("--agent-id", help="The agent; without it a made-up one, and for a job none."),
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="The run, put into the data.")] = None,
    event_id: Annotated[
        str | None, typer.Option("--event-id", help="An id of your own; the same id is taken once.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help=f"The source of a type that is not Letta's; without it {_SOURCE}."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="The subject; only for a type that is not Letta's.")
    ] = None,
    traceparent: Annotated[
        str | None,
        typer.Option(
            "--traceparent",
            help="The span that it stands below (W3C Trace Context), told by whoever made it. "
            "Where OTEL_* name an exporter, this command tells emit and publish below it.",
        ),
    ] = None,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis-url",
            help="The gateway's Redis; else LETTA_EMITTER_REDIS_URL, else that of the gateway on --data-dir.",
        ),
    ] = None,
    stream: Annotated[str | None, typer.Option("--stream", help="The stream in that Redis.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Publish to the gateway that runs on this directory.")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0, help="Seconds to wait for Redis; then the event waits on disk."),
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Publish one event through the emitter: into its spool, from there to Redis, then say so."""
    if traceparent is not None and parse_traceparent(traceparent) is None:
        raise UsageError(f"--traceparent: {traceparent!r} is not one of W3C Trace Context.")
    short = event_type.removeprefix(TYPE_PREFIX)
    try:
        event = (
            _letta_event(
                short,
                json_object_option("--data", data),
                organization_id=organization_id,
                agent_id=agent_id,
                run_id=run_id,
                event_id=event_id,
            )
            if short in SHORT_NAMES
            else _other_event(
                event_type,
                json_option("--data", data),
                source=source,
                subject=subject,
                event_id=event_id,
                traceparent=traceparent,
            )
        )
        environ = emitter_environ(os.environ, redis_url=redis_url, stream=stream, data_dir=data_dir)
        settings = EmitterSettings.from_env(environ)
        envelope = written(event, source_base=settings.source_base, trace=_trace(traceparent, event))
        spans = EmitSpans.for_event(envelope, settings, os.environ)
        receipt = emit_once(settings, envelope, timeout_s=timeout)
    except EnvelopeError as error:
        fields = [FieldError(problem.pointer, problem.detail) for problem in error.problems]
        raise UsageError("The event is not valid.", fields=fields) from None
    if spans is not None:
        spans.tell(envelope, spooled_us=receipt.sequence // _US_NS)
    if as_json:
        print_record({"id": receipt.id, "type": _type_of(event), "sequence": receipt.sequence})
    else:
        results().print(f"Published {receipt.id} ({_type_of(event)}).", soft_wrap=True)


def _trace(traceparent: str | None, event: LettaEvent | Envelope) -> TraceParent | None:
    """The trace that is given; else one that begins with the event, as in a server that does not trace.

    Its span is derived, so that the gateway knows that it is to tell the emit and publish spans.
    """
    if traceparent is not None:
        return parse_traceparent(traceparent)
    return None if isinstance(event, Envelope) else _begun(event.event_id)


def _begun(event_id: str) -> TraceParent:
    return derive(_SOURCE, event_id).with_span(emitted_span_id(event_id))


def emitter_environ(
    environ: Mapping[str, str], *, redis_url: str | None, stream: str | None, data_dir: Path | None
) -> dict[str, str]:
    """The emitter's own variables, completed by options and, where they name no Redis, by a running gateway's.

    An event for a gateway found through its data directory is spooled there and not in the user's state folder.

    Raises:
        NoServer: No Redis is named and no gateway with one runs on the data directory.
    """
    found = dict(environ)
    if redis_url is not None:
        found[_URL] = redis_url
    if data_dir is not None or not found.get(_URL):
        folder = data_dir or DEFAULT_DATA_DIR
        endpoint = read_endpoint(folder)
        if endpoint is None or endpoint.redis_url is None:
            raise NoServer(
                f"No gateway runs on the data directory {folder}.",
                hint="Start one with `letta-gateway dev`, or name its Redis with --redis-url.",
            )
        if redis_url is None:
            found[_URL] = endpoint.redis_url
        found[_STREAM] = endpoint.stream
        found.setdefault(_SPOOL, str((folder / "spool").resolve()))
    if stream is not None:
        found[_STREAM] = stream
    return found


def _letta_event(
    short: str,
    data: dict[str, Any],
    *,
    organization_id: str | None,
    agent_id: str | None,
    run_id: str | None,
    event_id: str | None,
) -> LettaEvent:
    """The event of these data, or of a whole payload as a subscriber gets it; options have the last word."""
    whole = data if isinstance(data.get("data"), dict) and "event_type" in data else {"data": data}
    if whole.get("event_type", short) != short:
        raise UsageError(
            f"--data is a payload of {whole['event_type']!r}, and the type asked for is {short}."
        )
    content = whole["data"] if run_id is None else {**whole["data"], "run_id": run_id}
    given = {"event_id": event_id, "agent_id": agent_id, "organization_id": organization_id}
    defaults = {
        "event_id": random_event_id(),
        "timestamp": datetime.now(UTC),
        "agent_id": None if short == JOB_COMPLETED else _AGENT,
        "organization_id": _ORGANIZATION,
    }
    named = {name: value for name, value in given.items() if value is not None}
    return parse_letta_event({**defaults, **whole, **named, "event_type": short, "data": content})


def _other_event(
    event_type: str,
    data: object,
    *,
    source: str | None,
    subject: str | None,
    event_id: str | None,
    traceparent: str | None,
) -> Envelope:
    event_id = event_id or random_event_id()
    attributes = {
        "id": event_id,
        "source": source or _SOURCE,
        "type": event_type,
        "subject": subject,
        "time": datetime.now(UTC),
        "traceparent": traceparent or _begun(event_id).render(),
    }
    return build(attributes, data)


def _type_of(event: LettaEvent | Envelope) -> str:
    return event.type if isinstance(event, Envelope) else TYPE_PREFIX + event.event_type
