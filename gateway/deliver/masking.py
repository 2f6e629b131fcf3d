"""Before an answer is stored, every secret of its subscription in it is masked (S11g): sinks like to echo."""

from gateway.domain.sending import Answer
from gateway.ports import SubscriptionRecord

MASK = "***"
_SECRET_CHARS_MIN = 4


def mask(answer: Answer, record: SubscriptionRecord) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of an answer without the secrets that were sent along, or that sign."""
    secrets = _secrets_of(record)
    headers = [(name, _masked(value, secrets)) for name, value in answer.headers]
    body = answer.body
    for secret in secrets:
        body = body.replace(secret.encode(), MASK.encode())
    return headers, body


def _secrets_of(record: SubscriptionRecord) -> list[str]:
    spec = record.spec
    secrets = [secret.text for secret in record.secrets]
    found = [*secrets, *spec.headers.values()]
    found += [secret.removeprefix("whsec_") for secret in secrets]
    if spec.bearer_token is not None:
        found.append(spec.bearer_token)
    # The longest first, or a part of one that is masked would leave the rest of it standing.
    return sorted({secret for secret in found if len(secret) >= _SECRET_CHARS_MIN}, key=len, reverse=True)


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
