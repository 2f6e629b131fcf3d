"""The tables. Times are integers, microseconds since the Unix epoch, UTC.

Truth (SEMANTICS S1a): ``log_entry`` with ``event_key``, ``event_key_recent`` and ``log_head``, ``attempt``, ``vault``,
``api_token``, ``quarantine``, ``archive``, ``contract_type`` with ``contract``, and ``erasure`` while one runs.
Everything else is a projection that can be derived again, or a working note.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from gateway.adapters.sql.stretches import stretch_index
from gateway.adapters.sql.texts import text_index

_IS_FACT = text("kind = 'fact'")
_IS_ADDRESSED = text("addressee IS NOT NULL")
IS_TROUBLE = text("decision NOT IN ('delivered', 'failed')")
"""Of an attempt: it ended its round, and not well. Few are, and they are what is looked for."""
IS_POSTED = text("batch IS NOT NULL")
"""Of an attempt: its POST was a batch's, in a trace of its own."""
_HAS_KEY = text("partition_key IS NOT NULL")
_IS_REPLAYED = text("replay IS NOT NULL")
IS_WEBHOOK = text("webhook IS NOT NULL AND state <> 'deleted'")
"""Of a subscription: Letta's view leads to it."""


def _position(*, primary_key: bool = False, nullable: bool = False, index: bool = False) -> Column[int]:
    # SQLite keys its rows by INTEGER PRIMARY KEY alone; BIGINT would add a second index beside the row id.
    column_type = BigInteger().with_variant(Integer, "sqlite")
    if primary_key:
        return Column(column_type, primary_key=True, autoincrement=False)
    return Column(column_type, nullable=nullable, index=index)


class LogEntry(SQLModel, table=True):
    """One event or fact of the append-only log (S1, S8): gapless positions in commit order."""

    __tablename__ = "log_entry"
    __table_args__ = (
        *text_index("ix_log_type", "type", "position"),
        *stretch_index("ix_log_organization", "organization"),
        *stretch_index("ix_log_agent", "agent_id"),
        *stretch_index("ix_log_source", "source"),
        *stretch_index("ix_log_subject", "subject"),
        *stretch_index("ix_log_run", "run_id"),
        *stretch_index("ix_log_trace", "trace_id"),
        Index("ix_log_facts", "position", sqlite_where=_IS_FACT, postgresql_where=_IS_FACT),
        Index("ix_log_addressee", "addressee", sqlite_where=_IS_ADDRESSED, postgresql_where=_IS_ADDRESSED),
        *stretch_index("ix_log_key", "partition_key", rare=True),
    )

    position: int = Field(sa_column=_position(primary_key=True))
    kind: str = Field(sa_type=Text)
    type: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    event_id: str = Field(sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    organization: str | None = Field(default=None, sa_type=Text)
    agent_id: str | None = Field(default=None, sa_type=Text)
    run_id: str | None = Field(default=None, sa_type=Text)
    trace_id: str | None = Field(default=None, sa_type=Text)
    partition_key: str | None = Field(default=None, sa_type=Text)
    """The event's ``partitionkey`` where it is not its agent's id, whose index serves as well (S4b)."""
    addressee: int | None = Field(default=None, sa_column=_position(nullable=True))
    redriven_from: str | None = Field(default=None, sa_type=Text)
    appended_at: int = Field(sa_type=BigInteger)
    nonce: bytes | None = Field(default=None, sa_type=LargeBinary)
    envelope: bytes | None = Field(default=None, sa_type=LargeBinary)
    payload_hash: bytes = Field(sa_type=LargeBinary)
    row_hash: bytes = Field(sa_type=LargeBinary)
    erased_by: int | None = Field(default=None, sa_column=_position(nullable=True))
    """The position of the fact that says that this was erased (S8b); source and id are empty then."""
    published_at: int | None = Field(default=None, sa_type=BigInteger)
    """When Redis had it, by the id of the stream's entry; beside the chain, and only to be shown."""
    contract_broken: bool | None = Field(default=None)
    """True: it was taken although it broke its contract, and goes out under none; beside the chain, too."""


class EventKey(SQLModel, table=True):
    """Deduplication by ``(source, id)`` (S7c). It outlives the archiving of the rows that it points to."""

    __tablename__ = "event_key"
    __table_args__ = {"sqlite_with_rowid": False}

    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    position: int = Field(sa_column=_position())


class RecentKeys(SQLModel, table=True):
    """Keys that may not be in ``event_key`` yet, those of an append in one row (``event_keys.py``)."""

    __tablename__ = "event_key_recent"

    seq: int = Field(sa_column=_position(primary_key=True))
    first: int = Field(sa_column=_position())
    """The position of the first; each of the others has the next one."""
    hashes: bytes = Field(sa_type=LargeBinary)


class LogHead(SQLModel, table=True):
    """The last position of the log and its hash: what the next append builds on. One row, id 1."""

    __tablename__ = "log_head"

    id: int = Field(primary_key=True)
    position: int = Field(sa_column=_position())
    row_hash: bytes = Field(sa_type=LargeBinary)
    appended_at: int = Field(sa_type=BigInteger)
    duplicates: int = Field(default=0, sa_type=BigInteger)
    conflicts: int = Field(default=0, sa_type=BigInteger)


class QuarantineEntry(SQLModel, table=True):
    """What could not be taken into the log, whole, with the reason (S7b)."""

    __tablename__ = "quarantine"
    __table_args__ = (
        Index("ix_quarantine_origin", "origin", "entry_id", unique=True),
        Index("ix_quarantine_received", "received_at", "id"),
        Index("ix_quarantine_state", "state", "received_at", "id"),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    received_at: int = Field(sa_type=BigInteger)
    origin: str = Field(sa_type=Text)
    entry_id: str = Field(sa_type=Text)
    organization: str | None = Field(default=None, sa_type=Text)
    reason: str = Field(sa_type=Text)
    problems: str = Field(sa_type=Text)
    payload: bytes = Field(sa_type=LargeBinary)
    size_bytes: int
    state: str = Field(default="open", sa_type=Text)
    position: int | None = Field(default=None, sa_column=_position(nullable=True))


class Erasure(SQLModel, table=True):
    """An erasure (S8b). Whom it is about stands here until it is done, since no fact may say it; then nowhere."""

    __tablename__ = "erasure"

    position: int = Field(sa_column=_position(primary_key=True))
    """The position of the fact that commanded it."""
    id: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    scope: str = Field(sa_type=Text)
    target: str | None = Field(default=None, sa_type=Text)
    state: str = Field(sa_type=Text)
    until_position: int = Field(sa_column=_position(index=True))
    cursor: int = Field(sa_column=_position())
    """Everything up to here is erased."""
    seen_at: int = Field(default=0, sa_type=BigInteger)
    seen_id: str = Field(default="", sa_type=Text)
    """Up to which record the quarantine was looked through."""
    events: int = Field(default=0, sa_type=BigInteger)
    attempts: int = Field(default=0, sa_type=BigInteger)
    quarantined: int = Field(default=0, sa_type=BigInteger)
    rewritten: bool = False
    requested_at: int = Field(sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)
    archives_until: int = Field(
        default=0,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), nullable=False, server_default="0"),
    )
    """Up to which position the archives were looked through."""
    archives: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    unreachable: str = Field(default="[]", sa_column=Column(Text, nullable=False, server_default="[]"))
    """The archives whose files were not where they should be."""


class Archive(SQLModel, table=True):
    """A range whose events were exported to a file and have left the log (S8); truth, as the log's facts say."""

    __tablename__ = "archive"

    first: int = Field(sa_column=_position(primary_key=True))
    last: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), unique=True, nullable=False)
    )
    state: str = Field(sa_type=Text)
    file: str = Field(sa_type=Text)
    size_bytes: int = Field(sa_type=BigInteger)
    sha256: str = Field(sa_type=Text)
    events: int = Field(sa_type=BigInteger)
    previous: bytes = Field(sa_type=LargeBinary)
    last_hash: bytes = Field(sa_type=LargeBinary)
    kept: bytes = Field(sa_type=LargeBinary)
    first_at: int = Field(sa_type=BigInteger)
    last_at: int = Field(sa_type=BigInteger)
    archived_at: int = Field(sa_type=BigInteger)
    moved_until: int = Field(sa_column=_position())
    """Up to where its events have left the log, or are back in it."""


class Archiving(SQLModel, table=True):
    """A command to archive, and how far it is."""

    __tablename__ = "archiving"

    position: int = Field(sa_column=_position(primary_key=True))
    """The position of the fact that commanded it."""
    until_position: int = Field(sa_column=_position())
    cursor: int = Field(sa_column=_position())
    state: str = Field(sa_type=Text)
    archives: int = Field(default=0, sa_type=BigInteger)
    events: int = Field(default=0, sa_type=BigInteger)
    problem: str | None = Field(default=None, sa_type=Text)
    requested_at: int = Field(sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)


class VaultEntry(SQLModel, table=True):
    """A sealed document of one owner at one revision: sinks, headers, credentials, secrets (S1d)."""

    __tablename__ = "vault"

    kind: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=Column(Text, primary_key=True))
    revision: int = Field(primary_key=True)
    sealed: bytes = Field(sa_type=LargeBinary)


class IdempotencyKey(SQLModel, table=True):
    """By which key a subscription was made; the answer lies in the vault. Its loss costs a second subscription."""

    __tablename__ = "idempotency_key"

    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    subscription: str = Field(sa_column=Column(Text, nullable=False, index=False))
    until: int = Field(sa_type=BigInteger)
    __table_args__ = (
        Index("ix_idempotency_until", "until"),
        Index("ix_idempotency_subscription", "subscription"),
    )


class SealingKey(SQLModel, table=True):
    """A working note: until when a key sealed, and signed links. Without it, a key is kept a month too long."""

    __tablename__ = "sealing_key"

    id: str = Field(sa_column=Column(Text, primary_key=True))
    replaced_at: int | None = Field(default=None, sa_type=BigInteger)


class ApiTokenEntry(SQLModel, table=True):
    """A token of the API by its hash. ``last_used_at`` is written now and then; revoked ones are kept for a while."""

    __tablename__ = "api_token"
    __table_args__ = (Index("ix_api_token_created", "created_at", "id"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    name: str | None = Field(default=None, sa_type=Text)
    organization: str | None = Field(default=None, sa_type=Text)
    read_only: bool
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)
    last_used_at: int | None = Field(default=None, sa_type=BigInteger)


class ContractType(SQLModel, table=True):
    """An event type that has a contract, and its place in the registry."""

    __tablename__ = "contract_type"
    __table_args__ = (Index("ix_contract_type_place", "group_id", "name", unique=True),)

    type: str = Field(sa_column=Column(Text, primary_key=True))
    group_id: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    compatibility: str = Field(sa_type=Text)


class Contract(SQLModel, table=True):
    """One version of a contract; it never changes and never goes."""

    __tablename__ = "contract"

    type: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(primary_key=True)
    document: bytes = Field(sa_type=LargeBinary)
    digest: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    since: int = Field(sa_column=_position())
    """It is the newest for what stands in the log behind this position."""
    shipped: bool
    by: str | None = Field(default=None, sa_type=Text)


class Subscription(SQLModel, table=True):
    """Projection of the subscription facts: what each subscription is now. Numbers are never reused (S3a)."""

    __tablename__ = "subscription"
    __table_args__ = (
        Index("ix_subscription_callback", "callback", unique=True),
        Index(
            "ix_subscription_webhook",
            "organization",
            "webhook",
            unique=True,
            sqlite_where=IS_WEBHOOK,
            postgresql_where=IS_WEBHOOK,
        ),
    )

    number: int = Field(sa_column=_position(primary_key=True))
    id: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    organization: str = Field(index=True, sa_type=Text)
    privileged: bool
    state: str = Field(sa_type=Text)
    revision: int
    start_position: int = Field(sa_column=_position())
    created_position: int = Field(sa_column=_position())
    created_at: int = Field(sa_type=BigInteger)
    updated_at: int = Field(sa_type=BigInteger)
    skips: str = Field(default="[]", sa_column=Column(Text, nullable=False, server_default="[]"))
    consent: str = Field(default="{}", sa_column=Column(Text, nullable=False, server_default="{}"))
    callback: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    webhook: str | None = Field(default=None, sa_type=Text)


class SubscriptionRevision(SQLModel, table=True):
    """Which selection (source, types, filters) was in force from which position on (S3d)."""

    __tablename__ = "subscription_revision"

    number: int = Field(sa_column=_position(primary_key=True))
    revision: int = Field(primary_key=True)
    position: int = Field(sa_column=_position())
    selection: str = Field(sa_type=Text)


class DeliveryCursor(SQLModel, table=True):
    """How far a subscription's stream has been dispatched (S2a); ``live`` ones follow the shard's router."""

    __tablename__ = "delivery_cursor"

    number: int = Field(sa_column=_position(primary_key=True))
    shard: int = Field(index=True)
    cursor: int = Field(sa_column=_position())
    live: bool


class Shard(SQLModel, table=True):
    """Where the router of a shard may restart (S2b)."""

    __tablename__ = "shard"

    shard: int = Field(primary_key=True)
    routed: int = Field(sa_column=_position())


class Lease(SQLModel, table=True):
    """Who may act for a name (a shard, an ingest stream), until when, in which epoch (S6a, S7a)."""

    __tablename__ = "lease"

    name: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_type=Text)
    epoch: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)


class Pending(SQLModel, table=True):
    """A delivery that was dispatched and is not terminal (S2a): in flight, or waiting for ``next_at``."""

    __tablename__ = "pending"
    __table_args__ = (
        Index("ix_pending_due", "next_at"),
        Index("ix_pending_position", "position", "number"),
        Index("ix_pending_head", "number", "position", sqlite_where=_HAS_KEY, postgresql_where=_HAS_KEY),
        Index("ix_pending_replay", "replay", sqlite_where=_IS_REPLAYED, postgresql_where=_IS_REPLAYED),
    )

    number: int = Field(sa_column=_position(primary_key=True))
    position: int = Field(sa_column=_position(primary_key=True))
    round: int
    attempts: int
    failures: int
    first_at: int = Field(sa_type=BigInteger)
    next_at: int | None = Field(default=None, sa_type=BigInteger)
    crashes: int = 0
    partition_key: str | None = Field(default=None, sa_type=Text)
    blocked_from: int | None = Field(default=None, sa_column=_position(nullable=True))
    last_span_id: str | None = Field(default=None, sa_type=Text)
    last_trace_id: str | None = Field(default=None, sa_type=Text)
    replay: int | None = Field(default=None, sa_column=_position(nullable=True))
    batch: str | None = Field(default=None, sa_type=Text)
    batch_size: int | None = None
    asked: bool = False
    caught_up: bool = False
    request: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class Replay(SQLModel, table=True):
    """Projection of the replay facts: a second, bounded cursor of a stream (S5)."""

    __tablename__ = "replay"

    replay: int = Field(sa_column=_position(primary_key=True))
    """The position of the fact that asked for it."""
    number: int = Field(sa_column=_position(index=True))
    revision: int
    from_position: int = Field(sa_column=_position())
    until_position: int = Field(sa_column=_position())
    only_failed: bool
    attempts_until: int = Field(sa_type=BigInteger)
    """The last attempt (``seq``) at the command: what had failed by then is what `only: failed` takes up."""
    cursor: int = Field(sa_column=_position())
    state: str = Field(sa_type=Text)
    requested_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)


class StreamNote(SQLModel, table=True):
    """A working note on a stream whose sink is not well: its breaker, since when nothing succeeded (S3g), its wait."""

    __tablename__ = "stream_note"

    number: int = Field(sa_column=_position(primary_key=True))
    failing_since: int | None = Field(default=None, sa_type=BigInteger)
    opened_at: int | None = Field(default=None, sa_type=BigInteger)
    probe_at: int | None = Field(default=None, sa_type=BigInteger)
    probes: int = 0
    waits_until: int | None = Field(default=None, sa_type=BigInteger)


class Attempt(SQLModel, table=True):
    """One settlement of a delivery, sent or not, with the decision it led to (S3b). Append-only."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_delivery", "number", "position", "attempt", unique=True),
        Index("ix_attempt_position", "position", "number"),
        Index(
            "ix_attempt_trouble",
            "number",
            "decision",
            "position",
            sqlite_where=IS_TROUBLE,
            postgresql_where=IS_TROUBLE,
        ),
        Index(
            "ix_attempt_undelivered",
            "decision",
            "position",
            "number",
            sqlite_where=IS_TROUBLE,
            postgresql_where=IS_TROUBLE,
        ),
        Index(
            "ix_attempt_posted",
            "trace_id",
            "position",
            "number",
            sqlite_where=IS_POSTED,
            postgresql_where=IS_POSTED,
        ),
    )

    seq: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )
    id: str = Field(sa_type=Text)
    number: int = Field(sa_column=_position())
    position: int = Field(sa_column=_position())
    hash6: bytes = Field(sa_type=LargeBinary)
    attempt: int
    round: int
    cause: str = Field(sa_type=Text)
    decision: str = Field(sa_type=Text)
    counts: bool
    error_class: str | None = Field(default=None, sa_type=Text)
    detail: str | None = Field(default=None, sa_type=Text)
    status: int | None = None
    started_at: int = Field(sa_type=BigInteger)
    duration_us: int = Field(sa_type=BigInteger)
    next_at: int | None = Field(default=None, sa_type=BigInteger)
    revision: int
    trace_id: str = Field(sa_type=Text)
    span_id: str = Field(sa_type=Text)
    response_headers: str | None = Field(default=None, sa_type=Text)
    response_body: bytes | None = Field(default=None, sa_type=LargeBinary)
    batch: str | None = Field(default=None, sa_type=Text)
    replay: int | None = Field(default=None, sa_column=_position(nullable=True))
