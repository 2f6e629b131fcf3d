"""What a consumer receives, as a typed event: one of the models, or the one for whatever is none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter, ValidationError

from schemas.envelope import Envelope
from schemas.errors import MalformedJsonError, PayloadError, Problem, pointer_of
from schemas.events import MODELS, Event, LettaEvent
from schemas.http_binding import parse_http
from schemas.json_format import BATCH_MEDIA_TYPE, parse_structured
from schemas.names import short_of
from schemas.strict_json import decode, encode


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event of a type that this version has no model for: a newer sender's, or somebody's own.

    Attributes:
        type: What it says it is: the CloudEvents type, or a payload's ``event_type``; empty if it says nothing.
        data: The event's data as JSON values, the whole payload; None without.
        envelope: The CloudEvent around it, where that was received.
        event_type: Always None: so that comparing an event's with a short name tells the models apart.
    """

    type: str
    data: Any
    envelope: Envelope | None = None
    event_type: Final[None] = None


AnyEvent: TypeAlias = LettaEvent | UnknownEvent
"""What ``parse_event`` returns."""

_LIKE_ANY_OF_LETTAS: Final = Event.model_fields.keys() - {"event_type"}
"""What has all these and does not say what it is, is one of Letta's with a fault."""

_ADAPTER: Final[TypeAdapter[Any]] = TypeAdapter(LettaEvent)


def parse_event(
    received: bytes | Mapping[str, Any] | Envelope, headers: Mapping[str, str] | None = None
) -> AnyEvent:
    """Read an event into its model; one of another type into an ``UnknownEvent``, for the receiver to pass over.

    Args:
        received: An envelope; or a webhook's body as bytes or decoded, in binary mode (the payload) or
            structured mode (the whole CloudEvent).
        headers: The request's, beside a body as bytes: they say what the event is, in whichever mode. Without
            them a body in binary mode is what its ``event_type`` says, and one that says nothing, as of most types
            that are not Letta's, is an ``UnknownEvent`` without a type.

    Raises:
        PayloadError: It is an event of a known type that is not as it must be, with every problem found; it is
            thin, and the problem names its ``dataref``; or it is a batch, which is for ``parse_batch``.
        EnvelopeError: It is no JSON, or a CloudEvent with other faults.
    """
    if isinstance(received, Envelope):
        return _of_envelope(received)
    if not isinstance(received, bytes):
        return _of_value(received)
    if headers is not None and _say_what_it_is(headers):
        return _of_message(headers, received)
    value = decode(received)
    structured = isinstance(value, dict) and "specversion" in value
    return _of_envelope(parse_structured(received)) if structured else _of_value(value)


def parse_letta_event(payload: object) -> LettaEvent:
    """Read the payload of a known event into its model.

    Raises:
        PayloadError: It is not one of the known events, with every problem found.
    """
    try:
        event: LettaEvent = _ADAPTER.validate_python(payload)
    except ValidationError as error:
        raise PayloadError(_problems(error, payload)) from None
    return event


def _say_what_it_is(headers: Mapping[str, str]) -> bool:
    return any(
        name.lower() == "ce-type" or (name.lower() == "content-type" and _is_format(value))
        for name, value in headers.items()
    )


def _is_format(content_type: str) -> bool:
    return content_type.strip().lower().startswith("application/cloudevents")


def _of_message(headers: Mapping[str, str], body: bytes) -> AnyEvent:
    if any(
        name.lower() == "content-type" and value.strip().lower().startswith(BATCH_MEDIA_TYPE)
        for name, value in headers.items()
    ):
        raise _batch()
    (envelope,) = parse_http(headers.items(), body, events_max=1)
    return _of_envelope(envelope)


def _of_value(value: object) -> AnyEvent:
    if not isinstance(value, Mapping):
        return _of_no_object(value)
    if "specversion" not in value:
        return _of_payload(value)
    if "data_base64" in value:
        return _of_envelope(parse_structured(encode(value)))
    if value.get("data") is None and "dataref" in value:
        return _of_thin(value.get("type"), value["dataref"])
    return _of_type(value.get("type"), value.get("data"))


def _of_envelope(envelope: Envelope) -> AnyEvent:
    if short_of(envelope.type) is None:
        return UnknownEvent(envelope.type, _data_of(envelope), envelope)
    if envelope.body is None and "dataref" in envelope.attributes:
        return _of_thin(envelope.type, envelope.attributes["dataref"])
    return parse_letta_event(envelope.data())


def _data_of(envelope: Envelope) -> Any:  # noqa: ANN401  (a JSON value is any of six types)
    try:
        return envelope.data()
    except MalformedJsonError:
        return envelope.body  # bytes that are not what they say, of which nothing is to be made anyway


def _of_thin(named: object, dataref: object) -> AnyEvent:
    if isinstance(named, str) and named and named not in MODELS and short_of(named) is None:
        return UnknownEvent(named, None)
    detail = f"is not sent with a thin event: GET {str(dataref)[:2048]}, and parse what that answers"
    raise PayloadError.at("/data", detail)


def _of_no_object(value: object) -> AnyEvent:
    """Whoever passes these over must not pass over a batch of events with them."""
    if (
        isinstance(value, list)
        and value
        and all(isinstance(it, dict) and "specversion" in it for it in value)
    ):
        raise _batch()
    return UnknownEvent("", value)


def _batch() -> PayloadError:
    return PayloadError.at("", "is a batch: read it by parse_batch, and parse each of its events")


def _of_payload(payload: Mapping[str, Any]) -> AnyEvent:
    named = payload.get("event_type")
    if (isinstance(named, str) and named) or payload.keys() >= _LIKE_ANY_OF_LETTAS:
        return _of_type(named, payload)
    return UnknownEvent("", payload)


def _of_type(named: object, payload: object) -> AnyEvent:
    """By the name that it gives: one that is no name at all is a fault of a payload, and told as one."""
    known = isinstance(named, str) and (named in MODELS or short_of(named) is not None)
    if known or not isinstance(named, str) or not named:
        return parse_letta_event(payload)
    return UnknownEvent(named, payload)


def _problems(error: ValidationError, payload: object) -> list[Problem]:
    # The union puts the chosen short name in front of every path.
    tag = payload.get("event_type") if isinstance(payload, Mapping) else None
    found = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = problem["loc"][1:] if problem["loc"] and problem["loc"][0] == tag else problem["loc"]
        found.append(Problem(pointer_of("data", *path), problem["msg"]))
    return found
