"""The CloudEvent envelope, strict and byte-faithful, and one Pydantic model per Letta event.

Imports pydantic and the standard library only, so that it runs inside Letta's own environment.
"""

from schemas.building import build
from schemas.envelope import Content, Envelope
from schemas.errors import (
    BatchTooLongError,
    EnvelopeError,
    MalformedJsonError,
    PayloadError,
    Problem,
    TooDeepError,
    UnsupportedFormatError,
)
from schemas.events import (
    Event,
    JobCompleted,
    LettaEvent,
    MessageSent,
    RunCompleted,
    StepCompleted,
    StepFailed,
    ToolAttached,
    ToolDetached,
    ToolExecutionCompleted,
)
from schemas.fields import ErrorInfo, Usage, cut_text
from schemas.http_binding import parse_binary, parse_http, to_binary, to_binary_lines
from schemas.ids import event_id, random_event_id
from schemas.json_format import (
    parse_batch,
    parse_structured,
    parse_with_data,
    to_batch,
    to_reference,
    to_structured,
    with_trace,
    without_dataschema,
)
from schemas.names import (
    GATEWAY_TYPE_PREFIX,
    SHORT_NAMES,
    TYPE_PREFIX,
    organizations_in,
    parse_source,
    short_of,
    source_of,
    type_of,
)
from schemas.parsing import AnyEvent, UnknownEvent, parse_event, parse_letta_event
from schemas.payloads import (
    JobCompletedData,
    MessageSentData,
    RunCompletedData,
    StepCompletedData,
    StepFailedData,
    ToolAttachedData,
    ToolDetachedData,
    ToolExecutionCompletedData,
)
from schemas.wire import to_envelope

__all__ = [
    "GATEWAY_TYPE_PREFIX",
    "SHORT_NAMES",
    "TYPE_PREFIX",
    "AnyEvent",
    "BatchTooLongError",
    "Content",
    "Envelope",
    "EnvelopeError",
    "ErrorInfo",
    "Event",
    "JobCompleted",
    "JobCompletedData",
    "LettaEvent",
    "MalformedJsonError",
    "MessageSent",
    "MessageSentData",
    "PayloadError",
    "Problem",
    "RunCompleted",
    "RunCompletedData",
    "StepCompleted",
    "StepCompletedData",
    "StepFailed",
    "StepFailedData",
    "TooDeepError",
    "ToolAttached",
    "ToolAttachedData",
    "ToolDetached",
    "ToolDetachedData",
    "ToolExecutionCompleted",
    "ToolExecutionCompletedData",
    "UnknownEvent",
    "UnsupportedFormatError",
    "Usage",
    "build",
    "cut_text",
    "event_id",
    "organizations_in",
    "parse_batch",
    "parse_binary",
    "parse_event",
    "parse_http",
    "parse_letta_event",
    "parse_source",
    "parse_structured",
    "parse_with_data",
    "random_event_id",
    "short_of",
    "source_of",
    "to_batch",
    "to_binary",
    "to_binary_lines",
    "to_envelope",
    "to_reference",
    "to_structured",
    "type_of",
    "with_trace",
    "without_dataschema",
]
