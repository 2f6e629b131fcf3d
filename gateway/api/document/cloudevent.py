"""A CloudEvent in the JSON format, and its attributes as headers, described once for both documents."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 in the JSON format; any other member is an extension, of lower-case letters and digits."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="allow")

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    """Identifies the event together with `source`."""
    source: Annotated[str, Field(min_length=1, json_schema_extra={"format": "uri-reference"})]
    """Where it happened; of Letta's events, the organization and the agent."""
    type: Annotated[str, Field(min_length=1)]
    """What happened: `com.letta.` and the short name."""
    subject: Annotated[str | None, Field(min_length=1)] = None
    """The id of the step, run, message, job or tool."""
    time: datetime | None = None
    """When it happened, RFC 3339."""
    datacontenttype: str | None = None
    dataschema: Annotated[str | None, Field(json_schema_extra={"format": "uri"})] = None
    """The contract that the data keeps; the gateway adds it on the way out, where there is none."""
    partitionkey: str | None = None
    """What order is kept by: the agent, else the job."""
    correlationid: str | None = None
    """The run that it belongs to."""
    causationid: str | None = None
    """The id of the event that led to it."""
    sequence: str | None = None
    """The place within its source: 20 digits, compared as a string."""
    traceparent: str | None = None
    """The trace that it began in (W3C); nobody rewrites it."""
    tracestate: str | None = None
    dataref: Annotated[str | None, Field(json_schema_extra={"format": "uri"})] = None
    """Where the data is fetched, of a `thin` event."""
    data: Any = None
    """Any JSON value; of Letta's events, the payload of its contract."""
    data_base64: str | None = None
    """Bytes, in place of `data`."""


ATTRIBUTES: Final = tuple(
    name for name in CloudEvent.model_fields if name not in {"data", "data_base64", "datacontenttype"}
)
"""What binary mode carries as headers: the data is the body, and its type is `Content-Type`."""

_ALWAYS: Final = frozenset({"specversion", "id", "source", "type"})


def attribute_headers(type_name: str | None = None) -> dict[str, tuple[Mapping[str, Any], bool]]:
    """The `ce-` headers of binary mode: the schema of each, and whether it is always there.

    Args:
        type_name: The only type; None for any.
    """
    found: dict[str, tuple[Mapping[str, Any], bool]] = {}
    for name in ATTRIBUTES:
        schema: dict[str, Any] = {"type": "string"}
        description = CloudEvent.model_fields[name].description
        if description:
            schema["description"] = description
        if name == "specversion":
            schema["const"] = "1.0"
        if name == "type" and type_name is not None:
            schema["const"] = type_name
        found[f"ce-{name}"] = (schema, name in _ALWAYS)
    return found
