"""Which events a subscription gets: what the router's index says, asked for one event and one subscription (S3d)."""

from gateway.deliver.envelopes import Event
from gateway.ports import SubscriptionRecord


def gets(record: SubscriptionRecord, event: Event) -> bool:
    """Whether an event is for this subscription: by the selection in force at its position, or as its addressee."""
    entry = event.entry
    if event.envelope is None:
        return False
    if entry.addressee is not None:
        return entry.addressee == record.number
    return record.selector_at(entry.position).matches(event.envelope.attributes, entry.organization)
