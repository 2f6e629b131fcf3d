"""The door: whether an event may enter the log, and under which columns (SEMANTICS S1b, S1c; contracts).

One judgement serves HTTP, where a refusal is an answer, and Redis, where it is a record in the quarantine.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

from gateway.domain.dialects import text_of
from gateway.ports import NewEntry
from otel.traceparent import derive
from schemas import (
    GATEWAY_TYPE_PREFIX,
    TYPE_PREFIX,
    Content,
    Envelope,
    EnvelopeError,
    Problem,
    organizations_in,
    parse_source,
)
from schemas.attributes import AttributeValue, forbidden_character

_LOGGER = logging.getLogger(__name__)
_EMITTER_TYPES = TYPE_PREFIX + "emitter."
_JSON: Final = Content.JSON
"""Looked at for each event: a name costs less than a member of an enumeration."""
_NOT_DECODED: Final = object()
_NO_JSON: Final = object()


class Reason(StrEnum):
    """Why an event is not taken; the words are part of the quarantine's and the API's outside."""

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    RESERVED = "reserved-name"
    FOREIGN = "foreign-organization"
    ORGANIZATION = "organization-mismatch"
    CONTRACT = "contract-broken"
    UNKNOWN_TYPE = "unknown-type"
    NOT_STORED = "not-stored"
    """The log refused this one entry's data; only where a stream is read, HTTP answers with the error itself."""


class Refused(Exception):
    """The event may not enter. ``problems`` names every offending member."""

    def __init__(
        self, reason: Reason, detail: str, problems: Sequence[Problem] = (), organization: str | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.problems = tuple(problems)
        self.organization = organization


class Contracts(Protocol):
    """What the door needs of the contracts."""

    def knows(self, type_: str) -> bool:
        """Whether the type has a contract."""
        ...

    def validate(self, type_: str, data: object, dataschema: object) -> Sequence[Problem]:
        """Everything in the data that breaks the contract; of a type without one, only what its ``dataschema`` does.

        ``dataschema`` is the event's: it may name the version that the data are to keep to.
        """
        ...


@dataclass(frozen=True, slots=True)
class DoorPolicy:
    """What is refused by setting. ``fact_source`` is the source of the gateway's own facts (S1b)."""

    fact_source: str
    event_bytes_max: int
    unknown_types: Literal["allow", "refuse"] = "allow"
    contract_policy: Literal["strict", "warn"] = "strict"


class Door:
    """Turns envelopes into entries of the log, or refuses them."""

    def __init__(self, contracts: Contracts, policy: DoorPolicy) -> None:
        self._contracts = contracts
        self._policy = policy

    def admit(
        self, envelope: Envelope, *, organization: str | None = None, data: object = _NOT_DECODED
    ) -> NewEntry:
        """Judge one event.

        Args:
            envelope: The event.
            organization: The token's; None: an administrator, or the Redis stream (S1c).
            data: The event's JSON data, where they are decoded already.
        """
        # What its properties say, looked up here: this is on the path of each event.
        attributes: Mapping[str, Any] = envelope.attributes
        type_: str = attributes["type"]
        source: str = attributes["source"]
        id_: str = attributes["id"]
        self.check_size(len(envelope.raw))
        if type_.startswith(GATEWAY_TYPE_PREFIX) or source.startswith(self._policy.fact_source):
            raise self._reserved(envelope)
        if envelope.content is not _JSON:
            # JSON in `data_base64` was looked at by nobody yet.
            data = _decoded(envelope) if envelope.carries_json else _NO_JSON
        elif data is _NOT_DECODED:
            data = _decoded(envelope)
        owner, agent = _owner(type_, source, data)
        if organization is not None:
            self._check_own(envelope, owner, organization)
            owner = organization
        broken = self._breaks_contract(envelope, data, owner)
        run, key = attributes.get("correlationid"), attributes.get("partitionkey")
        followed = envelope.trace
        # By the id that its attempts have: what a receiver logged is what one looks for.
        trace_id = derive(source, id_).trace_id if followed is None else followed.trace_id
        # In the order of its fields: by their names it would cost three times as much, for every event.
        return NewEntry(
            type_,
            source,
            id_,
            envelope.raw,
            attributes.get("subject"),
            owner,
            agent,
            run if isinstance(run, str) else None,
            trace_id,
            None if key is None or key == agent else _partition_key(key, agent),
            contract_broken=broken,
            parsed=envelope,
        )

    @staticmethod
    def _check_own(envelope: Envelope, owner: str | None, organization: str) -> None:
        """Refuse what is another organization's (S1c), whatever its type: wherever its source names one.

        First wins by source and id (S7c): who could take another's source could keep its events out of the log. And
        who subscribes to what begins with a source is to get nothing that somebody else made up. What data of a type
        that is not Letta's mean is not known here.
        """
        if any(name != organization for name in (owner or organization, *organizations_in(envelope.source))):
            raise Refused(Reason.FOREIGN, "This event belongs to another organization than the token's.")

    def check_size(self, size_bytes: int) -> None:
        """Refuse an event over the bound; to be asked before anything is parsed. Raises ``Refused``."""
        if size_bytes > self._policy.event_bytes_max:
            detail = f"The event has {size_bytes} bytes; at most {self._policy.event_bytes_max} are taken."
            raise Refused(Reason.TOO_LARGE, detail)

    def _reserved(self, envelope: Envelope) -> Refused:
        """The refusal of what only the gateway itself may say (S1b)."""
        problems = []
        if envelope.type.startswith(GATEWAY_TYPE_PREFIX):
            problems.append(
                Problem("/type", f"types that begin with {GATEWAY_TYPE_PREFIX} are the gateway's own")
            )
        source = self._policy.fact_source
        if envelope.source.startswith(source):
            problems.append(Problem("/source", f"sources that begin with {source} are the gateway's own"))
        return Refused(Reason.RESERVED, "Only the gateway itself may say this.", problems)

    def _breaks_contract(self, envelope: Envelope, data: object, owner: str | None) -> bool:
        """Whether it breaks its contract, and is taken all the same. Raises ``Refused`` where it is not."""
        type_, dataschema = envelope.type, envelope.attributes.get("dataschema")
        known = self._contracts.knows(type_)
        if not known:
            if self._policy.unknown_types == "refuse" and not type_.startswith(_EMITTER_TYPES):
                problem = Problem("/type", f"{type_} has no contract here")
                detail = "Events without a contract are refused by GATEWAY_UNKNOWN_TYPES."
                raise Refused(Reason.UNKNOWN_TYPE, detail, [problem], owner)
            if dataschema is None:
                return False
        problems: Sequence[Problem]
        if known and data is _NO_JSON:
            problems = [Problem("/data", "the contract asks for JSON data, and there is none")]
        else:
            problems = self._contracts.validate(type_, data, dataschema)
        if not problems:
            return False
        broken = Refused(Reason.CONTRACT, f"The data of {type_} breaks its contract.", problems, owner)
        if self._policy.contract_policy == "strict":
            raise broken
        _LOGGER.warning("taken although it breaks its contract: %s %s: %s", type_, envelope.id, broken)
        return True


def _decoded(envelope: Envelope) -> object:
    """The event's JSON data; those in ``data_base64`` were looked at by nobody yet."""
    try:
        return envelope.data()
    except EnvelopeError as error:
        raise Refused(
            Reason.MALFORMED, "The data are not the JSON that they are said to be.", error.problems
        ) from None


def _partition_key(key: AttributeValue, agent: str | None) -> str | None:
    """What the event is ordered by, where the index on its agent does not serve for it (S4b)."""
    text = text_of(key)
    return None if text == agent else text


def _owner(type_: str, source: str, data: object) -> tuple[str | None, str | None]:
    """Organization and agent of an event. For Letta's types, source and data must name the same one (S1c).

    Of another type the agent is whom its source names: it is counted, found and erased as that one's.
    """
    named = parse_source(source)
    if not type_.startswith(TYPE_PREFIX):
        agent = None if named is None else named[1]
        return None, agent if agent is None or _is_plain(agent) else None
    if named is None:
        if type_.startswith(_EMITTER_TYPES):
            return None, None  # a gap whose events nobody can name any more is the administrator's
        detail = "its path must end in /organizations/{organization} or /organizations/{organization}/agents/{agent}"
        raise Refused(Reason.ORGANIZATION, "The source names no organization.", [Problem("/source", detail)])
    organization, agent = named
    if "%" in source and not all(_is_plain(name) for name in named if name is not None):
        problem = Problem("/source", "its ids contain control characters, which no id may have")
        raise Refused(Reason.ORGANIZATION, "The source names no organization that could be.", [problem])
    claimed = data.get("organization_id") if isinstance(data, dict) else None
    if claimed is not None and claimed != organization:
        problems = [
            Problem("/source", f"names the organization {organization}"),
            Problem("/data/organization_id", "names another organization than the source"),
        ]
        # Whose it is, nobody can say: in quarantine it is the administrator's alone (S11a).
        raise Refused(Reason.ORGANIZATION, "Source and data name two organizations.", problems)
    said = data.get("agent_id") if isinstance(data, dict) else None
    return organization, agent or (said if isinstance(said, str) and _is_plain(said) else None)


def _is_plain(name: str) -> bool:
    """Whether it can stand in a column: what is percent-encoded or in data was not looked at yet."""
    return forbidden_character(name) is None
