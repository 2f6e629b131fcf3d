"""The HTTP protocol binding (CloudEvents HTTP 1.0.2): modes, and headers to attributes and back."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from schemas import media_type, strict_json
from schemas.attributes import AttributeValue, canonical, problems_of
from schemas.building import assemble
from schemas.envelope import Envelope
from schemas.errors import EnvelopeError, Problem, UnsupportedFormatError, pointer_of
from schemas.json_format import BATCH_MEDIA_TYPE, MEDIA_TYPE, parse_batch, parse_structured

Header = tuple[str, str]

_PREFIX: Final = "ce-"
_FORMATS: Final = "application/cloudevents"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MUST_ENCODE = re.compile(r"[^!#$&-~]")
_LITERAL: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
_PLAIN: Final = _LITERAL.encode()


def parse_http(headers: Iterable[Header], body: bytes, *, events_max: int) -> list[Envelope]:
    """Read the events of an HTTP message in whichever mode its `Content-Type` says (HTTP binding section 3).

    Args:
        headers: Names and values; values as latin-1 text, the way ASGI servers hand them out.
        body: The whole body. Bounding its size is the caller's part.
        events_max: The most events a batch may hold.

    Raises:
        UnsupportedFormatError: A CloudEvents format or charset other than JSON in UTF-8.
        EnvelopeError: With every problem found.
    """
    headers = list(headers)
    content_type = _content_type(headers)
    if content_type is None or not content_type.strip().lower().startswith(_FORMATS):
        return [parse_binary(headers, body)]
    declared = media_type.parse(content_type)
    if declared is None or declared.essence not in {MEDIA_TYPE, BATCH_MEDIA_TYPE}:
        detail = (
            f"{content_type[:80]!r} is not supported; send {MEDIA_TYPE}, {BATCH_MEDIA_TYPE} or binary mode"
        )
        raise UnsupportedFormatError.at("", f"the format {detail}")
    if not declared.is_utf8:
        raise UnsupportedFormatError.at("", f"the charset {declared.charset!r} is not supported; send UTF-8")
    if declared.essence == BATCH_MEDIA_TYPE:
        return parse_batch(body, events_max=events_max)
    return [parse_structured(body)]


def parse_binary(headers: Iterable[Header], body: bytes) -> Envelope:
    """Read an event in binary mode: attributes from `ce-` headers, data from the body (section 3.1).

    An empty body is no data. JSON data keeps its bytes except white space around the value.

    Raises:
        EnvelopeError: With every problem found; `MalformedJsonError` if a body under a JSON type is
            something else.
    """
    headers = list(headers)
    problems: list[Problem] = []
    attributes: dict[str, AttributeValue] = {}
    for header, value in headers:
        name = header.lower()
        if not name.startswith(_PREFIX):
            continue
        name = name.removeprefix(_PREFIX)
        if name == "datacontenttype":
            problems.append(
                Problem("/datacontenttype", "is carried by Content-Type; drop the header ce-datacontenttype")
            )
        elif name in attributes:
            problems.append(Problem(pointer_of(name), f"comes in two headers ce-{name}"))
        else:
            try:
                attributes[name] = decode_value(value)
            except UnicodeDecodeError:
                problems.append(Problem(pointer_of(name), "is not percent-encoded UTF-8"))
                attributes[name] = "?"  # present, so that it is not reported as missing too
    content_type = _content_type(headers)
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    problems += problems_of(attributes)
    declared = media_type.parse(content_type) if content_type is not None else None
    if problems:
        raise EnvelopeError([*problems, *_problems_of_body(body, declared)])
    return assemble(attributes, body or None, declared)


def _problems_of_body(body: bytes, declared: media_type.MediaType | None) -> tuple[Problem, ...]:
    if body and declared is not None and declared.is_json:
        try:
            strict_json.decode(body, "/data")
        except EnvelopeError as error:
            return error.problems
    return ()


def _content_type(headers: Iterable[Header]) -> str | None:
    values = [value for name, value in headers if name.lower() == "content-type"]
    if len(values) > 1:
        raise EnvelopeError.at("/datacontenttype", "comes in two Content-Type headers")
    return values[0].strip(" \t") if values else None


def decode_value(value: str) -> str:
    """Decode a header value: a quoted string unescaped, then percent-decoded once (section 3.1.3.2).

    Raises:
        UnicodeDecodeError: The octets are not UTF-8.
    """
    value = value.strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        value = _ESCAPED.sub(r"\1", quoted[1])
    if value.isascii():
        return value if "%" not in value else unquote_to_bytes(value).decode()
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:  # the caller had decoded it already
        octets = value.encode("utf-8", "surrogatepass")
    return unquote_to_bytes(octets).decode()


def encode_value(value: str) -> str:
    """Percent-encode all but printable ASCII, and of that space, quote and percent (section 3.1.3.2)."""
    return value if _MUST_ENCODE.search(value) is None else quote(value, safe=_LITERAL)


def to_binary(envelope: Envelope, *, dataschema: str | None = None) -> tuple[list[Header], bytes]:
    """Write the event for binary mode (section 3.1).

    A `traceparent` that is not valid is left out with its `tracestate`, lest it pass for one.

    Args:
        envelope: The event; see `Envelope.fits_binary` for those a receiver could not make sense of this way.
        dataschema: The absolute URI of its contract, added where the event has none.

    Returns:
        Headers, `Content-Type` first where there is one, and the body, empty if there is no data.
    """
    content_type = envelope.datacontenttype
    headers: list[Header] = [("Content-Type", content_type)] if content_type is not None else []
    traced = envelope.traceparent is not None
    for name, value in envelope.attributes.items():
        if name == "datacontenttype" or (name in {"traceparent", "tracestate"} and not traced):
            continue
        headers.append((_PREFIX + name, encode_value(canonical(value))))
    if dataschema is not None and "dataschema" not in envelope.attributes:
        headers.append((_PREFIX + "dataschema", encode_value(dataschema)))
    return headers, envelope.body or b""


def to_binary_lines(envelope: Envelope, *, dataschema: str | None = None) -> tuple[list[str], bytes]:
    """Write the event for binary mode as `to_binary` does, with its headers as lines that end in CRLF.

    Names are as the standard has them; whether every value may be sent is for the sender to see.
    """
    attributes, content_type = envelope.attributes, envelope.datacontenttype
    if content_type is None or not _is_plain(attributes) or envelope.traceparent is None:
        headers, body = to_binary(envelope, dataschema=dataschema)
        return [f"{name}: {value}\r\n" for name, value in headers], body
    lines = [f"Content-Type: {content_type}\r\n"]
    lines += [f"ce-{name}: {value}\r\n" for name, value in attributes.items() if name != "datacontenttype"]
    if dataschema is not None and "dataschema" not in attributes:
        lines.append(f"ce-dataschema: {encode_value(dataschema)}\r\n")
    return lines, envelope.body or b""


def _is_plain(attributes: Mapping[str, AttributeValue]) -> bool:
    """Whether no value needs encoding, as of nearly every event: one look at all of them."""
    try:
        together = "\n".join(attributes.values()).encode("ascii")  # type: ignore[arg-type]  # another type fails
    except (TypeError, UnicodeEncodeError):
        return False
    # A line end within a value would be one too many, so none can hide as a separator.
    return together.translate(None, _PLAIN) == b"\n" * (len(attributes) - 1)
