"""The gateway's own facts (SEMANTICS S1d): what it says in its own log, in its own words.

A fact about a subscription carries its revision, its selection and the origin of its sink, and never the
sink's full URL, a header or a credential. Ids are derived, so a crash between two writes cannot double a
fact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.domain.api_tokens import ApiToken
from gateway.domain.handshake import Consent
from gateway.domain.ids import fact_id
from schemas import GATEWAY_TYPE_PREFIX, Envelope, build

SUBSCRIPTION_CREATED: Final = "subscription.created"
SUBSCRIPTION_UPDATED: Final = "subscription.updated"
SUBSCRIPTION_PAUSED: Final = "subscription.paused"
SUBSCRIPTION_RESUMED: Final = "subscription.resumed"
SUBSCRIPTION_DISABLED: Final = "subscription.disabled"
SUBSCRIPTION_DELETED: Final = "subscription.deleted"
SUBSCRIPTION_SECRET_ROTATED: Final = "subscription.secret_rotated"  # noqa: S105 - the name of a fact
SUBSCRIPTION_TEST: Final = "subscription.test"
HANDSHAKE: Final = "subscription.handshake_"
"""Behind it the state that a handshake has come to."""
RETRY_REQUESTED: Final = "subscription.retry_requested"
REPLAY_REQUESTED: Final = "subscription.replay_requested"
REPLAY_FINISHED: Final = "subscription.replay_finished"
REPLAY_CANCELLED: Final = "subscription.replay_cancelled"
TOKEN_CREATED: Final = "token.created"  # noqa: S105 - the name of a fact
TOKEN_REVOKED: Final = "token.revoked"  # noqa: S105 - the name of a fact
CONTRACT_REGISTERED: Final = "contract.registered"

ERASURE_REQUESTED: Final = "erasure.requested"
ERASED: Final = "erased"
ERASURE_FINISHED: Final = "erasure.finished"

ARCHIVE_REQUESTED: Final = "archive.requested"
ARCHIVED: Final = "archived"
ARCHIVE_DROPPED: Final = "archive.dropped"
ARCHIVE_RESTORED: Final = "archive.restored"

BREAKER_OPENED: Final = "breaker.opened"
BREAKER_CLOSED: Final = "breaker.closed"
DELIVERY_EXHAUSTED: Final = "delivery.exhausted"
SUBSCRIPTION_BACKLOGGED: Final = "subscription.backlogged"
NOTICES: Final = frozenset({BREAKER_OPENED, BREAKER_CLOSED, DELIVERY_EXHAUSTED, SUBSCRIPTION_BACKLOGGED})
"""What operators may want to be told (S1e); nothing is derived from these."""

ABOUT_SUBSCRIPTIONS: Final = GATEWAY_TYPE_PREFIX + "subscription."
"""What the type of every fact about a subscription begins with; its ``subject`` is the subscription's id."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact before it has a position. ``cause`` is what makes it happen once: a revision, an attempt, a command."""

    kind: str
    subject: str
    cause: str
    data: Mapping[str, object]

    @property
    def type(self) -> str:
        """The CloudEvents type: under the prefix that nobody outside may use (S1b)."""
        return GATEWAY_TYPE_PREFIX + self.kind

    @property
    def id(self) -> str:
        """The derived id."""
        return fact_id(self.subject, self.kind, self.cause)

    def envelope(self, source: str, now_us: int) -> Envelope:
        """The fact as a CloudEvent; ``source`` is the gateway's own."""
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": self.type,
            "subject": self.subject,
            "time": rfc3339(now_us),
            "datacontenttype": "application/json",
        }
        return build(attributes, dict(self.data))


def handshake(subscription_id: str, number: int, revision: int, consent: Consent, now_us: int) -> Fact:
    """A handshake has come to another state, and all that is known of it: the hash of a token, never the token."""
    data = {
        "subscription_id": subscription_id,
        "number": number,
        "revision": revision,
        "consent": consent.to_json(),
    }
    return Fact(HANDSHAKE + consent.state.value, subscription_id, f"{revision}:{now_us}", data)


def secret_rotated(subscription_id: str, number: int, revision: int, rotation: int) -> Fact:
    """A subscription signs with another secret, and how many it has had; never which (S1d)."""
    data = {
        "subscription_id": subscription_id,
        "number": number,
        "revision": revision,
        "rotation": rotation,
    }
    return Fact(SUBSCRIPTION_SECRET_ROTATED, subscription_id, str(rotation), data)


def token_created(token: ApiToken, by: str | None) -> Fact:
    """A token was made, by whom and how far it reaches; ``by`` None: the first administrator. Never the token."""
    expires_at = None if token.expires_at_us is None else rfc3339(token.expires_at_us)
    data = {
        "token_id": token.id,
        "name": token.name,
        "admin": token.organization is None,
        "organization": token.organization,
        "read_only": token.read_only,
        "expires_at": expires_at,
        "by": by,
    }
    return Fact(TOKEN_CREATED, token.id, "created", data)


def token_revoked(token: ApiToken, by: str | None) -> Fact:
    """A token opens nothing any more, and who said so."""
    data = {"token_id": token.id, "name": token.name, "organization": token.organization, "by": by}
    return Fact(TOKEN_REVOKED, token.id, "revoked", data)


def contract_registered(type_: str, version: int, digest: bytes, *, by: str | None, **about: str) -> Fact:
    """A type's contract has a further version, and which; the schema itself stands in the registry."""
    data = {"type": type_, "version": version, **about, "sha256": digest.hex(), "by": by}
    return Fact(CONTRACT_REGISTERED, type_, str(version), data)


def rfc3339(at_us: int) -> str:
    """Microseconds since the Unix epoch as RFC 3339 in UTC."""
    seconds, micros = divmod(at_us, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
