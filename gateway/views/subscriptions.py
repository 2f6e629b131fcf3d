"""A subscription as the API shows it (CloudEvents Subscriptions API, INTERFACE), without what is write-only."""

from typing import Any

from gateway.domain.facts import rfc3339
from gateway.ports import SubscriptionRecord

_DIGITS_MAX = 19


def subscription_json(record: SubscriptionRecord) -> dict[str, Any]:
    """The resource. Its secrets and credentials, and the values of its headers, are never in it."""
    return {
        "id": record.id,
        **record.spec.view(),
        "organization": record.organization,
        "state": record.state.value,
        "revision": record.revision,
        "created_at": rfc3339(record.created_at_us),
        "updated_at": rfc3339(record.updated_at_us),
    }


def etag(record: SubscriptionRecord) -> str:
    """A strong validator: every change of a subscription moves its time of change."""
    return f'"{record.number}.{record.updated_at_us}"'


def changed_at(record_number: int, validator: str) -> int | None:
    """The time of change that a validator of this subscription names; None for any other text."""
    number, _, moment = validator.strip().strip('"').partition(".")
    if number != str(record_number) or not (moment.isascii() and moment.isdigit()):
        return None
    if len(moment) > _DIGITS_MAX:
        return None
    return int(moment)
