"""Subscriptions as they are stored: what was asked for, how it changed, how far their streams have come (S3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.domain.filters import Selector
from gateway.domain.handshake import UNASKED, Consent
from gateway.domain.rotation import Secret
from gateway.domain.skips import Skip, skipped
from gateway.domain.subscription import Handshake, SubscriptionSpec


class SubscriptionState(StrEnum):
    """What a subscription does now."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Revision:
    """The selection in force behind ``position`` (S3d)."""

    revision: int
    position: int
    selector: Selector


class Private(Protocol):
    """What of a subscription is stored sealed.

    It is opened when it is asked for, so that of many subscriptions only those lie open that are at work.
    """

    @property
    def spec(self) -> SubscriptionSpec:
        """What was asked for, the sink and its credential included."""
        ...

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The signing secrets, the oldest first, the present one last."""
        ...

    @property
    def pull_only(self) -> bool:
        """Whether nothing is ever sent (S10b): known of every one, without opening it."""
        ...

    @property
    def fetches_token(self) -> bool:
        """Whether each POST takes an access token that is fetched first: likewise."""
        ...

    @property
    def wants_handshake(self) -> bool:
        """Whether it asked that its sink agree first: likewise."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed, open."""

    spec: SubscriptionSpec = field(repr=False)
    secrets: tuple[Secret, ...] = field(repr=False)

    @property
    def pull_only(self) -> bool:
        """See ``Private.pull_only``."""
        return self.spec.pull_only

    @property
    def fetches_token(self) -> bool:
        """See ``Private.fetches_token``."""
        return self.spec.token_url is not None

    @property
    def wants_handshake(self) -> bool:
        """See ``Private.wants_handshake``."""
        return self.spec.config.handshake is Handshake.REQUIRED


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription that is to be made.

    Attributes:
        privileged: An administrator asks for it (S11b).
        webhook: Which webhook of the organization it is (``WebhookScope.key``); there is one of each at most.
        paused: It is not to send anything before it is resumed.
    """

    spec: SubscriptionSpec
    organization: str
    privileged: bool
    secret: str = field(repr=False)
    webhook: str | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription as it is now, with the history of its selection and of what was left out."""

    number: int
    id: str
    organization: str
    privileged: bool
    state: SubscriptionState
    revision: int
    created_at_us: int
    updated_at_us: int
    created_position: int
    start_position: int
    cursor: int
    live: bool
    pending: int
    private: Private = field(repr=False)
    revisions: tuple[Revision, ...] = ()
    skips: tuple[Skip, ...] = ()
    webhook: str | None = None
    consent: Consent = UNASKED

    @property
    def spec(self) -> SubscriptionSpec:
        """What was asked for, at the present revision."""
        return self.private.spec

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The signing secrets, the oldest first, the present one last."""
        return self.private.secrets

    @property
    def pull_only(self) -> bool:
        """Whether nothing is ever sent: its events are fetched (S10b)."""
        return self.private.pull_only

    def skipped(self, position: int) -> bool:
        """Whether a resume from now has left this position out of the stream (S3h)."""
        return bool(self.skips) and skipped(self.skips, position)

    def selector_at(self, position: int) -> Selector:
        """The selection in force at a position; before the first revision, the first (S3d)."""
        revisions = self.revisions
        for index in range(len(revisions) - 1, 0, -1):
            if revisions[index].position < position:
                return revisions[index].selector
        return revisions[0].selector


@dataclass(frozen=True, slots=True)
class Remembering:
    """What is to be kept beside a subscription that is made, in the same transaction.

    Attributes:
        key: ``gateway.domain.idempotency.remembered_as``.
        until_us: When it is to be forgotten.
        answer: What the caller will be told, secrets included: it is stored sealed alone.
    """

    key: bytes
    until_us: int
    answer: Callable[[SubscriptionRecord], bytes]


class Named(NamedTuple):
    """What a subscription is called and whose it is; ``deleted``: what waited for it ended with it."""

    id: str
    organization: str
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionHistory:
    """A subscription without anything sealed, deleted or not: what it selected when, and how far its stream has come.

    Attributes:
        cursor: Where its stream is dispatched to; None once it is deleted.
        live: Whether it follows the router, whose position then counts where it is ahead of the cursor.
        pending: Its deliveries that are dispatched and not terminal, but for those that a command put there.
    """

    number: int
    id: str
    organization: str
    state: SubscriptionState
    start_position: int
    revisions: tuple[Revision, ...]
    cursor: int | None
    live: bool
    pending: int

    def revision_at(self, position: int) -> Revision:
        """The revision in force at a position; before the first one, the first (S3d)."""
        return next(
            (item for item in reversed(self.revisions) if item.position < position), self.revisions[0]
        )

    def passed(self, routed: int) -> int:
        """The position up to which everything that matches has been dispatched, once the router was at ``routed``."""
        if self.cursor is None:
            return 0
        follows = self.live and self.state is SubscriptionState.ACTIVE
        return max(self.cursor, routed) if follows else self.cursor


class Subscriptions(Protocol):
    """The commands on subscriptions: each one a fact, the vault and the projection in one transaction (S1d)."""

    async def create(
        self,
        spec: SubscriptionSpec,
        *,
        organization: str,
        privileged: bool,
        secret: str,
        remembering: Remembering | None = None,
    ) -> SubscriptionRecord:
        """Make a subscription; its start is resolved to a position in the same transaction.

        ``remembering``: by which key it is known again. Raises ``Conflict`` where that key is in use.
        """
        ...

    async def create_many(self, wanted: Sequence[NewSubscription]) -> Sequence[SubscriptionRecord]:
        """Make them all or none, in order, in one transaction; ``create`` is the case of one.

        Bounding their number is for the caller: nothing else is written meanwhile. Raises ``InvalidRequest``, whose
        pointers begin with the place of the subscription that is wrong (``/3/config/start``), and ``Conflict`` where
        the organization has this webhook already.
        """
        ...

    async def update(
        self,
        number: int,
        spec: SubscriptionSpec,
        *,
        unchanged_since_us: int | None = None,
        privileged: bool = True,
    ) -> SubscriptionRecord:
        """Replace it by a new revision. Raises ``PreconditionFailed`` if it was changed since the given moment.

        ``privileged`` False: who asks is no administrator. Where that moves the sink, private networks are closed to
        it for good (S11b): they were opened to the one that the administrator has named.
        """
        ...

    async def set_state(
        self,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> SubscriptionRecord:
        """Pause, resume or disable; ``skip`` moves the cursor to the head. The same state again changes nothing.

        Raises ``PreconditionFailed`` if ``revision`` is given and no longer the present one (S3f).
        """
        ...

    async def rotate_secret(
        self, number: int, secret: str, *, unchanged_since_us: int | None = None
    ) -> SubscriptionRecord:
        """Sign with a new secret, beside the old one for a day. The present one given again changes nothing.

        Raises ``PreconditionFailed`` if it was changed since ``unchanged_since_us``.
        """
        ...

    async def set_consent(
        self, number: int, consent: Consent, *, revision: int | None = None, callback: str | None = None
    ) -> SubscriptionRecord:
        """Note where the handshake with the sink stands: a fact.

        Raises ``PreconditionFailed`` if a ``revision`` is given that is not the present one, or a ``callback`` that
        is not the one that is open.
        """
        ...

    async def called_back(self, callback: str, per_minute: int | None) -> SubscriptionRecord:
        """The sink agrees by its callback, which is over with this. Raises ``NotFound`` where none such is open."""
        ...

    async def delete(self, number: int, *, unchanged_since_us: int | None = None) -> None:
        """Drop cursor, pending and secrets; attempts stay until retention (S3h)."""
        ...

    async def get(
        self, subscription_id: str, *, organization: str | None = None
    ) -> SubscriptionRecord | None:
        """One that is not deleted, by its id.

        With an organization only one of its own: another's is looked for no longer than what never was.
        """
        ...

    async def webhook(self, organization: str, key: str) -> SubscriptionRecord | None:
        """The one that is this webhook of an organization (``WebhookScope.key``)."""
        ...

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        """One that is not deleted, by its number."""
        ...

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        """Those of these numbers that are not deleted, in order of their numbers: one look for all of them."""
        ...

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        """Those of an organization (None: all), in order of creation, behind number ``after``."""
        ...

    async def history(self, subscription_id: str) -> SubscriptionHistory | None:
        """One by its id, deleted ones too; None for an id that never was."""
        ...

    async def ids(self, numbers: Sequence[int]) -> Mapping[int, Named]:
        """What these numbers are called, deleted ones too: their attempts are still to be read."""
        ...
