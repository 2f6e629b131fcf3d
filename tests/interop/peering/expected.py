"""Where a receiver understands something else than what was sent, and why. Whatever is not here is understood."""

from dataclasses import dataclass, field
from typing import Any

from peering.cases import BYTES, EXTENSIONS, LETTA, NON_ASCII, NOTHING, NULL, STRING
from peering.comparing import LESS_PRECISE, OF_THE_POST

ALL = (LETTA, EXTENSIONS, NON_ASCII, STRING, NULL, BYTES, NOTHING)
_STILL_ENCODED = {
    "subject": "Gr%C3%BC%C3%9Fe/%E2%82%AC%20%F0%9F%98%80",
    "place": "Krak%C3%B3w%20100%25",
}
_NO_NULL = {"data": {}}
BINARY, STRUCTURED, BATCH = "binary", "structured", "batch"


@dataclass(frozen=True)
class Limit:
    """What some receivers have instead of what was sent, or how they refuse it, in some modes and cases."""

    receivers: tuple[str, ...]
    modes: tuple[str, ...]
    cases: tuple[str, ...]
    why: str
    has: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None


@dataclass
class Outcome:
    """What came of one event at one receiver: what it has instead, by name, and how it refused."""

    has: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None


LIMITS: tuple[Limit, ...] = (
    Limit(
        ("express", "functions-node", "functions-python", "faas"),
        (BINARY,),
        (NON_ASCII,),
        "Does not decode header values, which the HTTP binding percent-encodes (section 3.1.3.2): the subject and the "
        "extension stay encoded. The data is understood. Letta's own events have plain ASCII attributes; for others "
        "decode them (`decodeURIComponent`, `urllib.parse.unquote`), or subscribe with the format `structured`.",
        has=_STILL_ENCODED,
    ),
    Limit(
        ("express", "faas"),
        (BINARY, STRUCTURED),
        (LETTA,),
        "Makes a JavaScript `Date` of `time`: microseconds are cut to milliseconds. `data.timestamp` has them all.",
        has={"time": LESS_PRECISE},
    ),
    Limit(
        ("functions-node",),
        (BINARY, STRUCTURED),
        ALL,
        "Puts the POST's `traceparent` in the place of the event's: the span of this attempt. It is of the same trace "
        "where the event has one; an event without one seems to have one.",
        has={"traceparent": OF_THE_POST},
    ),
    Limit(
        ("functions-node",),
        (BINARY,),
        (LETTA, EXTENSIONS, NON_ASCII, BYTES),
        "Takes the attributes from the `ce-` headers alone, so `datacontenttype`, which is in `Content-Type`, "
        "is missing.",
        has={"datacontenttype": None},
    ),
    Limit(
        ("functions-node",),
        (BINARY,),
        (STRING, NULL),
        "Its JSON parser takes objects and lists alone and answers 400 to any other value. The format `structured` "
        "brings such data through.",
        refused="400",
    ),
    Limit(
        ("faas",),
        (BINARY,),
        (STRING,),
        "Parses the body, and then what it found once more; that fails for a text that is not JSON itself, and it "
        "takes the event for a plain request. The format `structured` brings such data through.",
        refused="the runtime took it for a plain request",
    ),
    Limit(
        ("express",),
        (BINARY,),
        (NULL,),
        "Puts quotation marks around a JSON text that begins with no bracket, brace or mark: `null` becomes the text "
        '`"null"`.',
        has={"data": {"json": "null"}},
    ),
    Limit(
        ("express", "faas"),
        (STRUCTURED,),
        (NULL,),
        "Drops members without a value: `null` is as if there were no data.",
        has=_NO_NULL,
    ),
    Limit(
        ("functions-python", "python-sdk"),
        (BINARY, STRUCTURED),
        (NULL,),
        "Has `None` both for `null` and for no data.",
        has=_NO_NULL,
    ),
)


def limits_of(receiver: str, mode: str, case: str) -> list[Limit]:
    """The limits that meet in one cell of the table."""
    return [it for it in LIMITS if receiver in it.receivers and mode in it.modes and case in it.cases]


def expected(receiver: str, mode: str, case: str) -> Outcome:
    """What is to come of one event at one receiver."""
    limits = limits_of(receiver, mode, case)
    refusals = [it.refused for it in limits if it.refused is not None]
    if refusals:
        return Outcome(refused=refusals[0])
    return Outcome({name: value for it in limits for name, value in it.has.items()})
