"""A subscription as the API shows it (CloudEvents Subscriptions API, INTERFACE), without what is write-only."""

from typing import Any

from gateway.domain.facts import rfc3339
from gateway.domain.signing import public_key_of
from gateway.ports import SubscriptionRecord

_DIGITS_MAX = 19


def subscription_json(record: SubscriptionRecord) -> dict[str, Any]:
    """The resource. Its secrets, credentials and the values of its headers are never in it; public keys are."""
    return {
        "id": record.id,
        **record.spec.view(),
        **_public_keys(record),
        **handshake_json(record),
        "organization": record.organization,
        "state": record.state.value,
        "revision": record.revision,
        "created_at": rfc3339(record.created_at_us),
        "updated_at": rfc3339(record.updated_at_us),
    }


def _public_keys(record: SubscriptionRecord) -> dict[str, Any]:
    """What Ed25519 signatures are checked with: the present key, and those that sign beside it for a while."""
    if not record.spec.signs_v1a:
        return {}
    *earlier, present = [secret for secret in record.secrets if secret.seed is not None]
    shown: dict[str, Any] = {"public_key": public_key_of(present.seed or b"")}
    previous = [
        {"public_key": public_key_of(secret.seed), "until": rfc3339(secret.until_us)}
        for secret in earlier
        if secret.seed is not None and secret.until_us is not None
    ]
    return shown | ({"previous_public_keys": previous} if previous else {})


def handshake_json(record: SubscriptionRecord) -> dict[str, Any]:
    """Where the handshake stands, of who wants one or had one."""
    consent = record.consent
    if consent.unasked and not record.private.wants_handshake:
        return {}
    shown = {
        "state": consent.state.value,
        "since": rfc3339(consent.at_us) if consent.at_us else None,
        "allowed_per_minute": consent.per_minute,
        "detail": consent.detail,
        "callback_until": None if consent.until_us is None else rfc3339(consent.until_us),
        "next_at": None if consent.next_at_us is None else rfc3339(consent.next_at_us),
    }
    return {"handshake": {name: value for name, value in shown.items() if value is not None}}


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
