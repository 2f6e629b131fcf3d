"""What a consumer receives, as a typed event: one of the models, or the one for whatever is none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter, ValidationError

from schemas.envelope import Envelope
from schemas.errors import PayloadError, Problem, pointer_of
from schemas.events import MODELS, LettaEvent
from schemas.json_format import parse_structured
from schemas.names import short_of
from schemas.strict_json import decode, encode


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event of a type that this version has no model for: a newer sender's, or somebody's own.

    Attributes:
        type: What it says it is: the CloudEvents type, or a payload's ``event_type``.
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

_ADAPTER: Final[TypeAdapter[Any]] = TypeAdapter(LettaEvent)


def parse_event(received: bytes | Mapping[str, Any] | Envelope) -> AnyEvent:
    """Read an event into its model; one of another type into an ``UnknownEvent``, for the receiver to pass over.

    Args:
        received: An envelope; or a webhook's body as bytes or decoded, in binary mode (the payload) or
            structured mode (the whole CloudEvent).

    Raises:
        PayloadError: It is no event, or one of a known type that is not as it must be; with every problem found.
        EnvelopeError: It is a CloudEvent with other faults.
    """
    if isinstance(received, Envelope):
        return _of_envelope(received)
    if isinstance(received, bytes):
        value = decode(received)
        if isinstance(value, dict) and "specversion" in value:
            return _of_envelope(parse_structured(received))
    else:
        value = received
    if not isinstance(value, Mapping):
        return parse_letta_event(value)
    if "data_base64" in value and "specversion" in value:
        return _of_envelope(parse_structured(encode(value)))
    if "specversion" in value:
        return _of_type(value.get("type"), value.get("data"))
    return _of_type(value.get("event_type"), value)


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


def _of_envelope(envelope: Envelope) -> AnyEvent:
    if short_of(envelope.type) is None:
        return UnknownEvent(envelope.type, envelope.data(), envelope)
    return parse_letta_event(envelope.data())


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
