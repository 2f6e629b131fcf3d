"""Reading a request's body under a bound."""

from typing import Any

from fastapi import Request

from gateway.errors import RequestError, TooLarge, UnsupportedFormat
from schemas import EnvelopeError, strict_json

JSON_BYTES_MAX = 262_144
_DRAIN_FACTOR = 16


async def read_body(request: Request, bytes_max: int, *, hint: str | None = None) -> bytes:
    """The whole body. Raises ``TooLarge`` past the bound, with a hint where no setting moves it.

    What is too large is read on for a while and thrown away: a client that is cut off in the middle of its
    upload would see a reset connection instead of the answer.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= bytes_max:
            chunks.append(chunk)
        elif size > bytes_max * _DRAIN_FACTOR:
            break
    if size > bytes_max:
        raise TooLarge(f"The body has more than {bytes_max} bytes.", hint=hint)
    return b"".join(chunks)


async def read_json(request: Request) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON body, strictly read. An empty one is None."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    raw = await read_body(request, JSON_BYTES_MAX, hint="Make it smaller; no setting moves this limit.")
    if not raw.strip():
        return None
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedFormat("This route takes application/json.", hint="")
    try:
        return strict_json.decode(raw, "")
    except EnvelopeError as error:
        problem = error.problems[0]
        raise RequestError(f"The body is not valid JSON: {problem.detail}.") from None
