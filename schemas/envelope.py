"""The envelope: one CloudEvent as the bytes it came in and the attributes read from them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas import media_type, strict_json
from schemas.attributes import AttributeValue
from schemas.trace_context import TraceParentFields, traceparent_fields

JSON_TYPE = "application/json"


class Content(enum.Enum):
    """What an event carries, which decides how its data is written in each mode."""

    NONE = "none"
    """No data; `data: null` is data."""
    JSON = "json"
    """A JSON value in the member `data`."""
    TEXT = "text"
    """A JSON string in `data` that stands for text of a type other than JSON."""
    BINARY = "binary"
    """Bytes, in the member `data_base64`."""


@dataclass(slots=True, repr=False, unsafe_hash=True)
class Envelope:
    """A sound CloudEvent 1.0. Equal envelopes have equal bytes.

    A value that is never changed; not frozen for the cost of it, since one is made of each event.

    Attributes:
        raw: The event in the JSON format, UTF-8, byte for byte as received; an event received in binary mode
            is rendered once, its JSON data unchanged inside.
        attributes: Context attributes and extensions as JSON values; a JSON null is absent.
        body: What a binary-mode body carries: JSON data as the very slice of text it came in, text as UTF-8,
            else the decoded bytes. None without data; never empty bytes for JSON.
        content: Which of these it is.
    """

    raw: bytes
    attributes: Mapping[str, AttributeValue] = field(compare=False)
    body: bytes | None = field(compare=False)
    content: Content = field(compare=False)
    _trace: TraceParentFields | Literal[False] | None = field(default=False, init=False, compare=False)

    @property
    def id(self) -> str:
        """Identifies the event together with `source`."""
        return self.attributes["id"]  # type: ignore[return-value]  # a sound one has text there

    @property
    def source(self) -> str:
        """Where it happened, a URI-reference."""
        return self.attributes["source"]  # type: ignore[return-value]  # a sound one has text there

    @property
    def type(self) -> str:
        """What happened, such as `com.letta.agent.step.completed`."""
        return self.attributes["type"]  # type: ignore[return-value]  # a sound one has text there

    @property
    def subject(self) -> str | None:
        """What it happened to, within the source."""
        return self.attributes.get("subject")  # type: ignore[return-value]  # text where it is

    @property
    def time(self) -> str | None:
        """When it happened: RFC 3339 text, digits as received."""
        return self.attributes.get("time")  # type: ignore[return-value]  # text where it is

    @property
    def dataschema(self) -> str | None:
        """The URI of the contract the producer names."""
        return self.attributes.get("dataschema")  # type: ignore[return-value]  # text where it is

    @property
    def datacontenttype(self) -> str | None:
        """The effective media type: JSON data without one is `application/json` (JSON format 3.1)."""
        declared = self.attributes.get("datacontenttype")
        return JSON_TYPE if declared is None and self.content is Content.JSON else declared  # type: ignore[return-value]

    @property
    def trace(self) -> TraceParentFields | None:
        """What its `traceparent` says, if it carries a valid one; read once, for the door and whatever is sent ask."""
        if self._trace is False:
            value = self.attributes.get("traceparent")
            self._trace = traceparent_fields(value) if isinstance(value, str) else None
        return self._trace

    @property
    def traceparent(self) -> str | None:
        """The creation context, if the event carries a valid one (W3C Trace Context)."""
        return None if self.trace is None else self.attributes["traceparent"]  # type: ignore[return-value]  # likewise

    @property
    def fits_binary(self) -> bool:
        """Whether binary mode can carry it: it has data, and a content type that tells what they are."""
        return self.body is not None and self.datacontenttype is not None

    @property
    def carries_json(self) -> bool:
        """Whether the data are a JSON value: in `data`, or as `data_base64` under a JSON type (JSON format 3.1)."""
        if self.content is not Content.BINARY:
            return self.content is Content.JSON
        declared = media_type.parse(self.datacontenttype or "")
        return declared is not None and declared.is_json

    def data(self) -> Any:  # noqa: ANN401  (a JSON value is any of six types)
        """Decode the data: a JSON value, text as `str`, other bytes as they are; None if there is none.

        Raises:
            MalformedJsonError: `data_base64` under a JSON type holds something else.
        """
        if self.body is None:
            return None
        if self.content is Content.TEXT:
            return self.body.decode()
        if self.content is Content.JSON:
            return strict_json.decode(self.body, "/data")
        return strict_json.decode(self.body, "/data_base64") if self.carries_json else self.body

    def __repr__(self) -> str:
        return f"<Envelope {self.type} {self.id} from {self.source}, {len(self.raw)} bytes>"
