"""Reading the `config` of a subscription: how it is delivered, each member within its bounds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.domain.ids import NUMBER_MAX
from gateway.domain.members import Members, listed, number_within
from gateway.domain.subscription import (
    Config,
    Format,
    Handshake,
    Ordering,
    Payload,
    Signing,
    Start,
    StartAt,
)
from schemas import Problem
from schemas.rfc3339 import is_timestamp

AVAILABLE: Final[Mapping[str, frozenset[str]]] = {
    "config": frozenset({"max_concurrency", "max_per_second", "timeout_s", "retry"}),
    "format": frozenset({"binary", "structured", "batch"}),
    "handshake": frozenset({"off", "required"}),
    "ordering": frozenset({"none", "partitionkey"}),
    "payload": frozenset({"full", "thin"}),
    "protocol": frozenset({"HTTP"}),
    "signing": frozenset({"v1", "v1a"}),
    "sink": frozenset({"http", "https", "pull"}),
    "sinkcredential": frozenset({"ACCESSTOKEN", "OAUTH2CLIENTCREDENTIALS"}),
}
"""What the engine can do, member by member. The rest of what is specified is refused with a sentence that
says so, until the work that builds it adds its name here."""

TIMEOUT_S_MAX: Final = 15.0
TIMEOUT_S_MIN: Final = 0.1
CONCURRENCY_MAX: Final = 256
PER_SECOND_MAX: Final = 10_000
RETRIES_MAX: Final = 100
RETRY_S_MAX: Final = 7 * 24 * 3600.0
BATCH_EVENTS_MAX: Final = 1_000
BATCH_BYTES_MIN: Final = 64 * 1024
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_AGE_S_MAX: Final = 60.0

_MEMBERS: Final = (
    "format",
    "batch_events_max",
    "batch_bytes_max",
    "batch_age_s",
    "ordering",
    "payload",
    "signing",
    "max_concurrency",
    "max_per_second",
    "timeout_s",
    "retry",
    "start",
    "handshake",
)
_BATCH: Final = ("batch_events_max", "batch_bytes_max", "batch_age_s")


def parse_config(
    value: object, pointer: str, problems: list[Problem], previous: Config | None = None
) -> Config:
    """Read a `config`, absent or not, and add its problems. A revision may not move `previous`'s start."""
    members = Members({} if value is None else value, pointer, problems, allowed=_MEMBERS)
    config = Config(
        format=members.choice("format", Format, Format.BINARY, AVAILABLE["format"]),
        batch_events_max=members.integer("batch_events_max", 1, BATCH_EVENTS_MAX),
        batch_bytes_max=members.integer("batch_bytes_max", BATCH_BYTES_MIN, BATCH_BYTES_MAX),
        batch_age_s=members.number("batch_age_s", 0, BATCH_AGE_S_MAX),
        ordering=members.choice("ordering", Ordering, Ordering.NONE, AVAILABLE["ordering"]),
        payload=members.choice("payload", Payload, Payload.FULL, AVAILABLE["payload"]),
        signing=_signing(members),
        max_concurrency=members.integer("max_concurrency", 1, CONCURRENCY_MAX),
        max_per_second=_per_second(members),
        timeout_s=members.number("timeout_s", TIMEOUT_S_MIN, TIMEOUT_S_MAX),
        retry=_retry(members),
        start=_start(members, previous),
        handshake=members.choice("handshake", Handshake, Handshake.OFF, AVAILABLE["handshake"]),
    )
    for name in _BATCH:
        if members.get(name) is not None and config.format is not Format.BATCH:
            members.fault(name, "goes with format `batch` alone")
    return config


def _signing(members: Members) -> tuple[Signing, ...]:
    value = members.get("signing")
    if value is None:
        return (Signing.V1,)
    if not isinstance(value, list) or Signing.V1.value not in value or len(value) > len(Signing):
        members.fault("signing", f'must be an array with "v1" in it, each of {listed(Signing)} at most once')
        return (Signing.V1,)
    found = (members.option("signing", one, Signing, AVAILABLE["signing"]) for one in value)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _per_second(members: Members) -> float | None:
    value = members.number("max_per_second", 0.01, PER_SECOND_MAX)
    if value is not None and "max_per_second" not in AVAILABLE["config"]:
        members.not_yet("max_per_second", "a rate limit", "use `max_concurrency`")
    return value


def _retry(members: Members) -> tuple[float, ...] | None:
    value = members.get("retry")
    if value is None:
        return None
    delays = [number_within(one, 0, RETRY_S_MAX) for one in value] if isinstance(value, list) else [None]
    sound = tuple(delay for delay in delays if delay is not None)
    if len(sound) < len(delays) or len(delays) > RETRIES_MAX:
        members.fault(
            "retry",
            f"must be an array of at most {RETRIES_MAX} delays in seconds, each from 0 to {RETRY_S_MAX:g}",
        )
    return sound


def _start(members: Members, previous: Config | None) -> Start:
    if members.get("start") is None:
        return StartAt.NOW if previous is None else previous.start
    start = _start_of(members.get("start"))
    if start is None:
        members.fault("start", "must be `now`, `beginning`, a position from 0, or an RFC 3339 time")
        return StartAt.NOW
    if previous is not None and start != previous.start:
        members.fault("start", "is settled when a subscription is made; make another one for another start")
    return start


def _start_of(value: object) -> Start | None:
    if type(value) is int:
        return value if 0 <= value <= NUMBER_MAX else None
    if not isinstance(value, str):
        return None
    if value in {one.value for one in StartAt}:
        return StartAt(value)
    return _moment(value)


def _moment(text: str) -> datetime | None:
    if not is_timestamp(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # a leap second, or a time that is out of every calendar
        return None
