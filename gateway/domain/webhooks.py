"""Letta's own view: a subscription as the webhook of an agent, of an organization, or of all of them, pure.

The subscription underneath is an ordinary one. What makes it the webhook is its key, which no change of its resource
touches; so whoever changes it elsewhere does not lose it here.
"""

from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from gateway.domain.dialects import AnyOf, Compare, Comparison
from gateway.domain.filters import EVERYTHING, Filters
from gateway.domain.members import Members, listed
from gateway.domain.signing import check_secret
from gateway.domain.sink_input import SINK_CHARS_MAX
from gateway.domain.subscription import EVERY_ORGANIZATION, PULL_SINK, SubscriptionSpec
from gateway.domain.subscription_input import NAME_CHARS_MAX
from schemas import SHORT_NAMES, Problem, short_of
from schemas.errors import pointer_of

ID_CHARS_MAX: Final = 256
EVENTS_MAX: Final = 256

WRITABLE: Final = ("url", "events", "secret", "enabled")
READ_ONLY: Final = frozenset(
    {"id", "agent_id", "organization", "state", "handshake", "created_at", "updated_at"}
)
"""Members that a view adds. A PUT may hand them back as it got them."""


@dataclass(frozen=True, slots=True)
class WebhookScope:
    """Whose webhook it is: an agent's, or, without one, that of a whole organization; `*` is all of them."""

    organization: str
    agent_id: str | None = None

    @property
    def key(self) -> str:
        """What the subscription is found by, within its organization."""
        return "all" if self.agent_id is None else f"agent:{self.agent_id}"

    @property
    def filters(self) -> Filters:
        """What belongs to it: an agent is the event's `partitionkey`, or the end of its source.

        The organization is no filter: it stands outside of all filters, for good (S11a).
        """
        if self.agent_id is None:
            return EVERYTHING
        source = "/agents/" + quote(self.agent_id, safe="")
        key = Compare(Comparison.EXACT, (("partitionkey", self.agent_id),))
        return Filters((AnyOf((key, Compare(Comparison.SUFFIX, (("source", source),)))),))

    @property
    def title(self) -> str:
        """The name of the subscription, for people."""
        if self.agent_id is not None:
            return f"Webhook of agent {self.agent_id}"[:NAME_CHARS_MAX]
        if self.organization == EVERY_ORGANIZATION:
            return "Webhook of every organization"
        return f"Webhook of organization {self.organization}"[:NAME_CHARS_MAX]


@dataclass(frozen=True, slots=True)
class WebhookInput:
    """A webhook as it is asked for. `secret` None: one is made, or the one that there is stays."""

    url: str = field(repr=False)
    events: tuple[str, ...] = SHORT_NAMES
    enabled: bool = True
    secret: str | None = field(default=None, repr=False)

    def over(self, scope: WebhookScope, present: SubscriptionSpec | None) -> SubscriptionSpec:
        """The subscription that is this webhook; how it is delivered stays as it was set elsewhere."""
        base = SubscriptionSpec(sink=self.url, name=scope.title) if present is None else present
        return replace(base, sink=self.url, source=None, types=self.events, filters=scope.filters)


def is_id(text: str) -> bool:
    """Whether an agent or an organization can have this id."""
    return 0 < len(text) <= ID_CHARS_MAX and text.isprintable()


def parse_webhook(value: object) -> tuple[WebhookInput | None, list[Problem]]:
    """Read the body of a PUT, None where there are problems."""
    problems: list[Problem] = []
    members = Members(value, "", problems, allowed=WRITABLE, ignored=READ_ONLY)
    url = _url(members)
    events = _events(members, problems)
    enabled = members.get("enabled")
    if enabled is not None and not isinstance(enabled, bool):
        members.fault("enabled", "must be `true` or `false`")
    secret = members.get("secret")
    if secret is not None:
        problem = check_secret(secret if isinstance(secret, str) else "", members.at("secret"))
        problems += [] if problem is None else [problem]
    if problems or url is None:
        return None, problems
    return WebhookInput(url, events, enabled is not False, secret if isinstance(secret, str) else None), []


def events_of(types: tuple[str, ...]) -> list[str] | None:
    """The types of a subscription by their short names; None where it does not choose by type at all."""
    return [short_of(name) or name for name in types] or None


def _url(members: Members) -> str | None:
    if members.get("url") is None:
        members.fault("url", f"must be given: where events are posted to, 1 to {SINK_CHARS_MAX} characters")
        return None
    url = members.text("url", SINK_CHARS_MAX)
    if url is not None and url.lower().startswith(PULL_SINK):
        members.fault("url", "must be a URL; events are fetched from a subscription, not from a webhook")
    return url


def _events(members: Members, problems: list[Problem]) -> tuple[str, ...]:
    """The short names; left out, all that there are."""
    value = members.get("events")
    if value is None:
        return SHORT_NAMES
    if not isinstance(value, list) or not value:
        members.fault(
            "events", f"must be an array of one or more of {listed(SHORT_NAMES)}; left out, it is all"
        )
        return ()
    if len(value) > EVENTS_MAX:
        members.fault("events", f"must have at most {EVENTS_MAX} names")
        return ()
    for index, name in enumerate(value):
        if name not in SHORT_NAMES:
            pointer = members.at("events") + pointer_of(index)
            problems.append(Problem(pointer, f"no such event; there are {listed(SHORT_NAMES)}"))
    return tuple(dict.fromkeys(str(name) for name in value))
