"""Making envelopes, for producers: checked as strictly as what comes in, rendered once."""

import base64
from collections.abc import Mapping
from datetime import datetime

from schemas import media_type, strict_json
from schemas.attributes import SPEC_VERSION, AttributeValue, overlong_names, problems_of
from schemas.envelope import JSON_TYPE, Content, Envelope
from schemas.errors import EnvelopeError, TooDeepError
from schemas.rfc3339 import timestamp


def build(attributes: Mapping[str, object], data: object | None = None) -> Envelope:
    """Make an event.

    Args:
        attributes: Context attributes and extensions; None is absent, a `datetime` becomes RFC 3339 text.
            `specversion` is filled in; `id`, `source` and `type` are the caller's to give.
        data: None for no data (JSON null is `b"null"`). Bytes are passed on as they are: JSON text under a
            JSON content type, else text or Base64. Other values are encoded as JSON, and JSON data without a
            content type is marked `application/json`; a `str` under another content type is text.

    Raises:
        EnvelopeError: With every problem found.
    """
    named = {"specversion": SPEC_VERSION} | {
        name: timestamp(value) if isinstance(value, datetime) else value
        for name, value in attributes.items()
        if value is not None
    }
    if data is not None and not isinstance(data, bytes):
        named.setdefault("datacontenttype", JSON_TYPE)
    problems = problems_of(named) + overlong_names(named)
    if problems:
        raise EnvelopeError(problems)
    sound: dict[str, AttributeValue] = named  # type: ignore[assignment]  # problems_of has looked at every value
    declared = media_type.parse(str(named.get("datacontenttype", "")))
    return assemble(sound, _octets(data, declared), declared)


def _octets(data: object | None, declared: media_type.MediaType | None) -> bytes | None:
    if data is None or isinstance(data, bytes):
        return data
    try:
        if declared is None or declared.is_json:
            return strict_json.encode(data)
        if isinstance(data, str):
            return data.encode()
    except RecursionError:
        raise TooDeepError.at("/data", f"is nested more than {strict_json.DEPTH_MAX} levels deep") from None
    except UnicodeEncodeError:
        raise EnvelopeError.at("/data", "contains half of a surrogate pair") from None
    except (TypeError, ValueError) as error:
        raise EnvelopeError.at("/data", f"cannot be written as JSON: {error}") from None
    raise EnvelopeError.at("/data", f"must be text or bytes under the content type {declared.essence}")


def assemble(
    attributes: dict[str, AttributeValue], data: bytes | None, declared: media_type.MediaType | None
) -> Envelope:
    """Put checked attributes and the data of a binary-mode body together.

    Args:
        attributes: Without problems already.
        data: The body's bytes; None for no data.
        declared: The parsed `datacontenttype`.

    Raises:
        MalformedJsonError: A JSON content type is declared and the data is something else.
    """
    if data is None:
        return Envelope(strict_json.encode(attributes), attributes, None, Content.NONE)
    if declared is not None and declared.is_json:
        strict_json.decode(data, "/data")
        body = data.strip(b" \t\n\r")
        return Envelope(rendered(attributes, b'"data":' + body), attributes, body, Content.JSON)
    if declared is not None and declared.is_text and (text := _utf8(data)) is not None:
        return Envelope(rendered(attributes, b'"data":' + text), attributes, data, Content.TEXT)
    encoded = b'"data_base64":"' + base64.b64encode(data) + b'"'
    return Envelope(rendered(attributes, encoded), attributes, data, Content.BINARY)


def _utf8(data: bytes) -> bytes | None:
    try:
        return strict_json.encode(data.decode())
    except UnicodeDecodeError:
        return None


def rendered(attributes: Mapping[str, AttributeValue], member: bytes) -> bytes:
    """Write attributes and one more member, already JSON, as an object."""
    return strict_json.encode(attributes)[:-1] + b"," + member + b"}"
