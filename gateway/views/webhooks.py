"""A subscription as Letta's own view shows it: the webhook of an agent, of an organization, or of all of them."""

from typing import Any

from gateway.domain.facts import rfc3339
from gateway.domain.webhooks import WebhookScope, events_of
from gateway.ports import SubscriptionRecord, SubscriptionState
from gateway.views.subscriptions import handshake_json


def webhook_json(record: SubscriptionRecord, scope: WebhookScope) -> dict[str, Any]:
    """The webhook. ``events`` is null where the subscription was changed elsewhere, and does not choose by type."""
    spec = record.spec
    return {
        "id": record.id,
        "url": spec.sink,
        "events": events_of(spec.types),
        "enabled": record.state is SubscriptionState.ACTIVE,
        "state": record.state.value,
        **handshake_json(record),
        "agent_id": scope.agent_id,
        "organization": record.organization,
        "created_at": rfc3339(record.created_at_us),
        "updated_at": rfc3339(record.updated_at_us),
    }
