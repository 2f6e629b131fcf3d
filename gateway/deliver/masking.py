"""Before an answer is stored, every secret of its subscription in it is masked (S11g): sinks like to echo."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.deliver.terms import Terms
from gateway.domain.sending import Answer
from schemas.signatures import SECRET_PREFIX

MASK = "***"
_PART_BYTES_MIN = 4


def mask(
    answer: Answer, terms: Terms, present: Terms | None = None
) -> tuple[Sequence[tuple[str, str]], bytes]:
    """Headers and body of an answer without the secrets that were sent along, or that sign.

    ``present``: as the subscription is by now. A secret that was replaced while the answer was on its way may be in it.
    """
    if present is None or present is terms:
        # A sink says much the same to every delivery: what nothing was found in the last time has nothing in it.
        if terms.clean == (answer.headers, answer.body) and not answer.truncated:
            return answer.headers, answer.body
    else:
        terms = replace(terms, known=(*terms.known, *present.known))
    text, body = "\n".join(map("\n".join, answer.headers)), answer.body
    for secret, raw in terms.known:
        if secret in text or raw in body or (answer.truncated and _begun_at_end(body, raw)):
            break
    else:  # as nearly all are
        if not answer.truncated:
            terms.clean = (answer.headers, body)
        return answer.headers, body
    known = [secret for secret, _ in terms.known]
    cleaned = masked(answer, [*known, *(SECRET_PREFIX + secret for secret in known)])
    return cleaned.headers, cleaned.body


def _begun_at_end(body: bytes, secret: bytes) -> int:
    """How many bytes of a secret stand at the end of a body that was cut there; 0: none, or too few to tell."""
    for size in range(min(len(secret) - 1, len(body)), _PART_BYTES_MIN - 1, -1):
        if body.endswith(secret[:size]):
            return size
    return 0


def masked(answer: Answer, secrets: Sequence[str]) -> Answer:
    """An answer without these secrets, nor the beginning of one where it was cut."""
    # The longest first, or a part of one that is masked would leave the rest of it standing.
    ordered = sorted(set(secrets), key=len, reverse=True)
    headers = tuple([(_masked(name, ordered), _masked(value, ordered)) for name, value in answer.headers])
    body = answer.body
    for secret in ordered:
        body = body.replace(secret.encode(), MASK.encode())
    if answer.truncated:
        begun = max(_begun_at_end(body, secret.encode()) for secret in ordered)
        body = body[: len(body) - begun] + MASK.encode() if begun else body
    return replace(answer, headers=headers, body=body)


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
