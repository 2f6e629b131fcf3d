"""The whole log as a stream, through the filters of a list of events: what ``EventLog.search`` finds, as it comes."""

from gateway.deliver.envelopes import Event
from gateway.ports import Entry, EventQuery, Kind
from otel.origin import origin_trace
from schemas import GATEWAY_TYPE_PREFIX, TYPE_PREFIX, Envelope, EnvelopeError, parse_source


class OfEvents:
    """The entries that a query names, whatever its times and bounds; a ``Choice`` of ``pulling``."""

    gone = False

    def __init__(self, query: EventQuery) -> None:
        self._query = query

    async def takes(self, event: Event) -> bool:
        """See ``Choice.takes``."""
        return self._owned(event.entry) and self._named(event.entry) and self._about(event)

    def _owned(self, entry: Entry) -> bool:
        query = self._query
        return all(
            wanted is None or wanted == entry.organization
            for wanted in (query.organization, query.organization_id)
        )

    def _named(self, entry: Entry) -> bool:
        """By type and source. Facts are only for who names their type, and no event can pass for one (S1b)."""
        query = self._query
        if query.types and entry.type not in query.types:
            return False
        is_fact = entry.kind is Kind.FACT
        if is_fact and not query.types:
            return False
        return is_fact == entry.type.startswith(GATEWAY_TYPE_PREFIX) and query.source in {None, entry.source}

    def _about(self, event: Event) -> bool:
        """By what is read from the envelope; of an erased one nothing is known, and a fact is in no trace."""
        query, envelope = self._query, event.envelope
        if envelope is None:
            return query.subject is query.agent_id is query.run_id is query.trace_id is None
        return (
            query.subject in {None, envelope.subject}
            and query.run_id in {None, envelope.attributes.get("correlationid")}
            and (query.trace_id is None or query.trace_id == _trace_of(event.entry, envelope))
            and (query.agent_id is None or query.agent_id == _agent_of(envelope))
        )


def _trace_of(entry: Entry, envelope: Envelope) -> str | None:
    """The trace of its attempts, as the door has it."""
    return None if entry.kind is Kind.FACT else origin_trace(envelope).trace_id


def _agent_of(envelope: Envelope) -> str | None:
    """The agent whose event this is, as the door has it: the source's, else the one that the data names."""
    named = parse_source(envelope.source) if envelope.type.startswith(TYPE_PREFIX) else None
    if named is None:
        return None
    if named[1] is not None or not envelope.carries_json:
        return named[1]
    try:
        data = envelope.data()
    except EnvelopeError:
        return None  # of an event that came before `data_base64` was looked into
    said = data.get("agent_id") if isinstance(data, dict) else None
    return said if isinstance(said, str) else None
