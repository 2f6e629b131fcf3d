"""An archive of a closed range of the log (SEMANTICS S8): its lines, its chain, and what the log says of it; pure.

A file is NDJSON: a line that says which range it is, then a line for each row, in log order. A row's line has
everything that its hash is made of, so a third party can follow the chain from the file alone, and everything that
the log needs to have it back. The envelope stands in it as it was received, byte for byte.
"""

import base64
import binascii
import hashlib
import json
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.domain import facts
from gateway.domain.chain import Remains, payload_hash, row_hash

FORMAT: Final = 1
ROWS_MAX: Final = 20_000
"""Positions of one file, at most."""

BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of envelopes of one file, and those of one row more, at most."""

SUFFIX: Final = ".ndjson.gz"
_EVENT: Final = b',"event":'
_TEXTS: Final = (
    *("type", "source", "event_id", "organization", "subject", "agent_id", "run_id", "trace_id"),
    *("partition_key", "redriven_from"),
)
_NUMBERS: Final = ("position", "appended_at", "addressee", "erased_by", "published_at")
_MARKS: Final = ("contract_broken",)
_HASHES: Final = ("nonce", "payload_hash", "row_hash")


class ArchiveDamaged(Exception):
    """A file is not the archive that it is said to be; says what is wrong with it."""


class LogRow(Remains, Protocol):
    """A whole row of the log: what is left of an erased one, and the rest; the names are its columns."""

    @property
    def source(self) -> str: ...  # noqa: D102 - the columns of the log
    @property
    def event_id(self) -> str: ...  # noqa: D102
    @property
    def nonce(self) -> bytes | None: ...  # noqa: D102
    @property
    def envelope(self) -> bytes | None: ...  # noqa: D102
    @property
    def erased_by(self) -> int | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """A row as a file has it; implements ``LogRow``."""

    position: int
    kind: str
    type: str
    source: str
    event_id: str
    organization: str | None
    appended_at: int
    nonce: bytes | None
    envelope: bytes | None
    payload_hash: bytes
    row_hash: bytes
    subject: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    trace_id: str | None = None
    partition_key: str | None = None
    addressee: int | None = None
    redriven_from: str | None = None
    erased_by: int | None = None
    published_at: int | None = None
    contract_broken: bool | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the log, and the hashes between which its rows stand.

    Attributes:
        previous: The hash of the row before the first.
        last_hash: The hash of the last one.
        kept: ``Kept`` over the facts in it, which the log keeps.
    """

    first: int
    last: int
    previous: bytes
    last_hash: bytes
    kept: bytes


def file_name(first: int, last: int) -> str:
    """What the file of a range is called: names sort as the ranges do."""
    return f"{first:020d}-{last:020d}{SUFFIX}"


def header_line(first: int, last: int | None, previous: bytes) -> bytes:
    """A file's first line; ``last`` None: it is not known when the file is begun."""
    header = {"letta_gateway_archive": FORMAT, "first_position": first, "previous": previous.hex()}
    return _json(header if last is None else header | {"last_position": last})


def read_header(line: bytes) -> tuple[int, bytes]:
    """The first position, and the hash before it. Raises ArchiveDamaged."""
    try:
        header = json.loads(line)
        if header["letta_gateway_archive"] != FORMAT:
            raise ArchiveDamaged("it is an archive of another version")
        return int(header["first_position"]), bytes.fromhex(header["previous"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged("it does not begin as an archive does") from error


def line_of(row: Any) -> bytes:  # noqa: ANN401 - a row of the log, with all its columns
    """A row as a line, its end included."""
    members: dict[str, Any] = {"position": row.position, "kind": row.kind}
    others = (*_TEXTS, *_NUMBERS[1:], *_MARKS)
    members |= {name: value for name in others if (value := getattr(row, name)) is not None}
    members |= {name: bytes(value).hex() for name in _HASHES if (value := getattr(row, name)) is not None}
    envelope = None if row.envelope is None else bytes(row.envelope)
    if envelope is None:
        return _json(members)
    if b"\n" in envelope or b"\r" in envelope:
        # Such a one was sent on several lines: byte for byte, and still one line of the file.
        return _json(members | {"event_base64": base64.b64encode(envelope).decode()})
    return _json(members)[:-2] + _EVENT + envelope + b"}\n"


def row_of(line: bytes) -> ArchivedRow:
    """The row of a line. Raises ArchiveDamaged."""
    head, separator, rest = line.partition(_EVENT)
    try:
        members = json.loads(head + b"}" if separator else line)
        operator.index(members["position"])  # a row is found by it: a TypeError otherwise
        envelope = rest.rstrip(b"\n").removesuffix(b"}") if separator else None
        if "event_base64" in members:
            envelope = base64.b64decode(members["event_base64"], validate=True)
        hashes = {name: bytes.fromhex(members[name]) if name in members else None for name in _HASHES}
        return ArchivedRow(
            kind=members["kind"],
            envelope=envelope,
            **{name: members.get(name) for name in (*_TEXTS, *_NUMBERS, *_MARKS)},
            **hashes,  # type: ignore[arg-type]
        )
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise ArchiveDamaged("it is no row of a log") from error  # what it says may be somebody's


def fault_of(row: LogRow, previous: bytes) -> str:
    """What is wrong with a row that is not erased: its payload, or its place in the chain; empty where nothing is."""
    if row.envelope is None or row.nonce is None:
        return "its payload, or a half of it, is missing, and no fact says that it was erased"
    if payload_hash(bytes(row.nonce), bytes(row.envelope)) != bytes(row.payload_hash):
        return "its envelope is not the one that was appended"
    expected = row_hash(
        previous,
        position=row.position,
        kind=row.kind,
        type=row.type,
        source=row.source,
        id=row.event_id,
        organization=row.organization,
        appended_at_us=row.appended_at,
        payload_hash=bytes(row.payload_hash),
    )
    return (
        ""
        if expected == bytes(row.row_hash)
        else "its hash does not follow from its fields and the row before it"
    )


class Kept:
    """A hash over the facts of an archived range, which stay in the log: the fact that says so has it.

    Their own hashes are over rows that are not there any more, so without this nothing would hold them.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, row: LogRow) -> None:
        """The next fact, in log order."""
        fields = (
            *(row.kind.encode(), row.type.encode(), row.source.encode(), row.event_id.encode()),
            b"\x00" if row.organization is None else b"\x01" + row.organization.encode(),
            *(row.position.to_bytes(8, "big"), row.appended_at.to_bytes(8, "big")),
            *(bytes(row.payload_hash), bytes(row.row_hash)),
        )
        self._digest.update(b"".join(len(field).to_bytes(4, "big") + field for field in fields))

    def digest(self) -> bytes:
        """The hash of what was added."""
        return self._digest.digest()


class Chain:
    """Follows the rows of a range from the hash before it, and knows what its span is at the end."""

    def __init__(self, first: int, previous: bytes) -> None:
        self.first = first
        self.previous = previous
        self.position = first - 1
        self.last_hash = previous
        self.events = 0
        self._kept = Kept()

    def follow(self, row: LogRow) -> str:
        """Take the next row; what is wrong with it, or nothing. An erased one is held by the fact that it names."""
        if row.position != self.position + 1:
            return f"the row is missing; the next one is {row.position}"
        fault = fault_of(row, self.last_hash) if row.erased_by is None else ""
        self.position, self.last_hash = row.position, bytes(row.row_hash)
        if row.kind == "fact":
            self._kept.add(row)
        else:
            self.events += 1
        return fault

    def span(self) -> Span:
        """What was followed."""
        return Span(self.first, self.position, self.previous, self.last_hash, self._kept.digest())


def check(rows: Iterable[ArchivedRow], span: Span) -> int:
    """Follow the rows of a file, which is to be this span; how many events it has. Raises ArchiveDamaged."""
    chain = Chain(span.first, span.previous)
    for row in rows:
        try:
            fault = chain.follow(row)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ArchiveDamaged(
                f"behind position {chain.position}: a row has fields of other types"
            ) from error
        if fault:
            raise ArchiveDamaged(f"position {chain.position}: {fault}")
    if chain.span() != span:
        raise ArchiveDamaged(f"it ends at position {chain.position}, or with another hash than the log knows")
    return chain.events


def archived(span: Span, events: int) -> facts.Fact:
    """A range was exported, and its events leave the log."""
    data = {
        "first_position": span.first,
        "last_position": span.last,
        "events": events,
        "previous": span.previous.hex(),
        "last": span.last_hash.hex(),
        "kept": span.kept.hex(),
        "file": file_name(span.first, span.last),
    }
    return facts.Fact(facts.ARCHIVED, f"archive/{span.first}", "archived", data)


def moved(kind: str, first: int, last: int, now_us: int) -> facts.Fact:
    """The events of an archived range were put back into the log, or have left it once more."""
    return facts.Fact(kind, f"archive/{first}", str(now_us), {"first_position": first, "last_position": last})


def said(data: Any) -> Span | None:  # noqa: ANN401 - the data of a fact
    """The span that a fact says was archived; None where it is no such fact."""
    try:
        hashes = [bytes.fromhex(data[name]) for name in ("previous", "last", "kept")]
        return Span(int(data["first_position"]), int(data["last_position"]), *hashes)
    except (TypeError, KeyError, ValueError):
        return None


def _json(members: dict[str, Any]) -> bytes:
    return (
        json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        + b"\n"
    )
