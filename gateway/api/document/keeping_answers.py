"""The shapes of answers about what is kept (quarantine, erasures, archives, tokens, keys), health and problems."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.api.document.shape import Count, Position, Shape
from gateway.domain.erasure import Scope


class Quarantined(Shape):
    """What could not be taken into the log."""

    id: str
    received_at: datetime
    origin: str
    entry_id: str | None
    organization: str | None
    reason: str
    errors: list[Any]
    size_bytes: Count
    state: str
    position: int | None
    """Where it stands in the log, once it was taken."""
    payload: str | None = None
    """What came in, where it is text; only at the record itself."""
    payload_base64: str | None = None


class Redriven(Quarantined):
    """A record that was taken into the log."""

    duplicate: bool


class UnreachedArchive(Shape):
    """An archive that could not be looked through; it may have something of what was erased."""

    file: str
    why: Literal["missing", "damaged", "unknown"]
    """Its file is not in the folder; or cannot be read; or has something of it, and is not of this log."""
    detail: str
    """What is wrong with the file."""


class Erasure(Shape):
    """How far an erasure is; never whose data it was."""

    id: str
    scope: Scope
    state: Literal["running", "finished", "incomplete"]
    """`incomplete`: it has ended, and left out what `unreachable` names."""
    until_position: Count
    events: Count
    attempts: Count
    quarantined: Count
    archives: Count
    """The archives whose files were written anew."""
    unreachable: list[UnreachedArchive]
    """The archives that could not be looked through: they may have something of it. Erase once more when they can."""
    rewritten: bool
    """Whether the storage has let go of what it had."""
    requested_at: datetime
    finished_at: datetime | None


class ErasureCount(Shape):
    """What an erasure would take (`dry_run`)."""

    events: Count
    """Those in the log: what archives have of it is not counted."""
    quarantined: Count
    archives: Count
    """How many archives would be looked through besides."""


class Token(Shape):
    """What is known of a token; never the token."""

    id: str
    name: str | None
    admin: bool
    organization: str | None
    read_only: bool
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewToken(Token):
    """A token that was just made."""

    token: str
    """Shown this once."""


class KeyUse(Shape):
    """A key of the vault, and what it is needed for."""

    id: str
    first: bool
    sealed: Count
    links_until: datetime | None
    needed: bool


class Unreadable(Shape):
    """A stored secret that no key opens."""

    kind: str
    owner: str
    revision: int


class Resealed(Shape):
    """One batch of a rotation of keys."""

    checked: Count
    resealed: Count
    unreadable: list[Unreadable]
    next: str | None


class Health(Shape):
    """The process serves."""

    status: Literal["ok"]


class Ready(Shape):
    """Each thing that the gateway needs, and whether it is there."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Literal["ok", "failing"]]
    lag_events: int | None


class FieldProblem(Shape):
    """One offending member."""

    pointer: str
    """JSON Pointer into the body, or the name of a header or parameter; empty for the whole."""
    detail: str


class Problem(Shape):
    """RFC 9457. A program tells problems apart by `type`; each is in docs/problems.md."""

    type: Annotated[str, Field(examples=["urn:letta-gateway:problem:not-found"])]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: list[FieldProblem]


class Quarantine(Shape):
    """A page of the quarantine."""

    items: list[Quarantined]
    next: str | None


class Erasures(Shape):
    """A page of erasures."""

    items: list[Erasure]
    next: str | None


class Tokens(Shape):
    """A page of tokens."""

    items: list[Token]
    next: str | None


class Keys(Shape):
    """The keys of the vault."""

    items: list[KeyUse]
    next: None


class Archive(Shape):
    """A closed range of the log, in a file."""

    first_position: Position
    last_position: Position
    state: Literal["dropping", "archived", "restoring", "restored"]
    file: str
    size_bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    events: Count
    first_appended_at: datetime
    last_appended_at: datetime
    archived_at: datetime


class Archives(Shape):
    """A page of archives."""

    items: list[Archive]
    next: str | None


class Archiving(Shape):
    """How far an archiving is, or how it ended."""

    id: int
    state: Literal["running", "finished", "failed"]
    until_position: Count
    archived_until: Count
    """Up to there everything is archived; what was put back into the log ends it."""
    archives: Count
    events: Count
    problem: str | None
    requested_at: datetime
    finished_at: datetime | None


class Holder(Shape):
    """Who has something of the range still to be sent."""

    subscription: str
    position: Count
    why: str


class PutBack(Shape):
    """An archive that was put back into the log."""

    first_position: Position
    last_position: Position


class ArchivePlan(Shape):
    """What would be archived (`dry_run`)."""

    first_position: Position
    until_position: Count
    """Before `first_position` where nothing of the log would be exported."""
    positions: Count
    """How many would leave the log, those that were put back included."""
    again: list[PutBack]
    """What was put back, and would leave the log once more."""
    held_by: list[Holder]
