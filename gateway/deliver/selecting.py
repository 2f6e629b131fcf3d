"""Which entries of the log are a subscription's: the one rule for what is sent and for what is fetched, pure.

``stream(S) = [e for e in log if e.position > S.start and S.filters_at(e.position) matches e]``. Scans that feed a
lane and the readers of pull streams (S10b) both ask here, so they cannot come to differ.
"""

from gateway.deliver.envelopes import Event
from gateway.ports import SubscriptionRecord


def selects(record: SubscriptionRecord, event: Event) -> bool:
    """Whether the selection in force at the entry's position takes it (S3d); one that was erased is nobody's.

    Facts about a subscription that asks for facts are left out on top of that (``asks_for_facts``).
    """
    if event.envelope is None:
        return False
    entry = event.entry
    if entry.addressee is not None:
        return entry.addressee == record.number  # a test is for one stream, whatever it selects (S3h)
    return record.selector_at(entry.position).matches(event.envelope.attributes, entry.organization)


def awaits(record: SubscriptionRecord, event: Event) -> bool:
    """Whether its stream sends this by itself: selected, and not left out by a resume from now (S3h)."""
    return selects(record, event) and not record.skipped(event.entry.position)


def asks_for_facts(record: SubscriptionRecord) -> bool:
    """Whether it gets the gateway's own facts, or ever did: then facts about it are routed to nobody (S1e)."""
    return any(revision.selector.gateway_types for revision in record.revisions)
