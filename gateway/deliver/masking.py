"""Before an answer is stored, every secret of its subscription in it is masked (S11g): sinks like to echo."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.domain.sending import Answer
from gateway.ports import SubscriptionRecord
from schemas.signatures import SECRET_PREFIX

MASK = "***"
_SECRET_CHARS_MIN = 4


def mask(answer: Answer, record: SubscriptionRecord) -> tuple[Sequence[tuple[str, str]], bytes]:
    """Headers and body of an answer without the secrets that were sent along, or that sign."""
    known = _known_to(record)
    text = "\n".join([value for _, value in answer.headers])
    if not any(secret in text or secret.encode() in answer.body for secret in known):
        return answer.headers, answer.body  # as nearly all are
    # The longest first, or a part of one that is masked would leave the rest of it standing.
    secrets = sorted({*known, *(secret.text for secret in record.secrets)}, key=len, reverse=True)
    headers = [(name, _masked(value, secrets)) for name, value in answer.headers]
    body = answer.body
    for secret in secrets:
        body = body.replace(secret.encode(), MASK.encode())
    return headers, body


def masked(answer: Answer, secrets: Sequence[str]) -> Answer:
    """An answer without these secrets, of which the record knows nothing."""
    headers = tuple([(name, _masked(value, secrets)) for name, value in answer.headers])
    body = answer.body
    for secret in secrets:
        body = body.replace(secret.encode(), MASK.encode())
    return replace(answer, headers=headers, body=body)


def _known_to(record: SubscriptionRecord) -> list[str]:
    """What must not stand in an answer: a signing secret without its prefix, so that it is found either way."""
    found = [secret.text.removeprefix(SECRET_PREFIX) for secret in record.secrets]
    found += record.spec.sent_secrets
    return [secret for secret in found if len(secret) >= _SECRET_CHARS_MIN]


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
