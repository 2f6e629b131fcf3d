"""What the POSTs of one subscription have in common, opened and prepared once for as long as it stays as it is.

A delivery would otherwise ask the vault a dozen times. Of many subscriptions only those lie open that were at work
last, as in the vault itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.domain.header_lines import HeaderLines
from gateway.domain.retry import DEFAULT_SCHEDULE_S
from gateway.domain.rotation import seeds, signing
from gateway.domain.sending import SendError
from gateway.domain.signing import Signer
from gateway.domain.subscription import Format, Payload
from gateway.ports import SubscriptionRecord
from otel.spellings import spellings
from schemas.signatures import SECRET_PREFIX

OPENED_MAX: Final = 4_096
_SECRET_CHARS_MIN: Final = 4

Signers = Callable[[tuple[str, ...], tuple[bytes, ...]], Signer]
"""Gives the signer of these secrets and Ed25519 keys, kept from the last time if it can be."""


@dataclass(slots=True)
class Terms:
    """How one subscription's deliveries are sent, as it is now; nothing of its secrets shows in the repr.

    Attributes:
        number: The subscription.
        revision: At which revision.
        privileged: Whether an administrator made it (S11b).
        sink: Where to.
        structured: Whether it asked for structured mode.
        thin: Whether it asked for a reference in place of the data (S11d).
        timeout_s: Its own limit of an attempt; None: the gateway's.
        schedule_s: The delays of its retries.
        lines: Its own header lines, the credential's among them, and what its sink has agreed to (CONFORMANCE 30).
        signer: Signs with the secrets that are in force until ``until_us``.
        known: What must not be stored of an answer (S11g), each as text and as bytes.
        until_us: When the next secret ends; None: none does.
        fetches_token: Whether an access token goes along that is fetched first.
        fault: Why nothing can be sent at all: a header of its own that no request can have.
        clean: Headers and body of the last answer in which nothing of what is known was found.
    """

    number: int
    revision: int
    privileged: bool
    sink: str = field(repr=False)
    structured: bool
    thin: bool
    timeout_s: float | None
    schedule_s: tuple[float, ...]
    lines: HeaderLines = field(repr=False)
    signer: Signer = field(repr=False)
    known: tuple[tuple[str, bytes], ...] = field(repr=False)
    until_us: int | None
    fetches_token: bool = False
    fault: SendError | None = None
    clean: tuple[Sequence[tuple[str, str]], bytes] | None = field(default=None, repr=False, compare=False)


def terms_of(
    record: SubscriptionRecord, now_us: int, signers: Signers = Signer, webhook_origin: str = ""
) -> Terms:
    """Open and prepare."""
    spec, secrets = record.spec, record.secrets
    headers = list(spec.headers.items())
    if record.consent.granted:
        headers.append(("WebHook-Request-Origin", webhook_origin))
    if spec.bearer_token is not None:
        headers.append(("Authorization", f"Bearer {spec.bearer_token}"))
    # A signing secret without its prefix, so that it is found either way.
    known = [secret.text.removeprefix(SECRET_PREFIX) for secret in secrets]
    known += spec.sent_secrets
    lines, fault = HeaderLines(), None
    try:
        lines = HeaderLines.of(headers)
    except SendError as error:
        fault = error
    ends = [secret.until_us for secret in secrets if secret.until_us is not None and secret.until_us > now_us]
    return Terms(
        number=record.number,
        revision=record.revision,
        privileged=record.privileged,
        sink=spec.sink,
        structured=spec.config.format is Format.STRUCTURED,
        thin=spec.config.payload is Payload.THIN,
        timeout_s=spec.config.timeout_s,
        schedule_s=DEFAULT_SCHEDULE_S if spec.config.retry is None else tuple(spec.config.retry),
        lines=lines,
        signer=signers(signing(secrets, now_us), seeds(secrets, now_us) if spec.signs_v1a else ()),
        known=tuple(
            (spelled, spelled.encode())
            for text in known
            if len(text) >= _SECRET_CHARS_MIN
            for spelled in spellings(text)
        ),
        until_us=min(ends, default=None),
        fetches_token=spec.token_url is not None,
        fault=fault,
    )


class OpenTerms:
    """Those that were opened last, by subscription; what was opened first goes first, however much it is used."""

    def __init__(
        self, signers: Signers = Signer, *, webhook_origin: str = "", opened_max: int = OPENED_MAX
    ) -> None:
        self._signers = signers
        self._webhook_origin = webhook_origin
        self._opened_max = opened_max
        self._opened: OrderedDict[int, tuple[SubscriptionRecord, Terms]] = OrderedDict()

    def of(self, record: SubscriptionRecord, now_us: int) -> Terms:
        """Those of this record at this time."""
        found = self._opened.get(record.number)
        if found is not None and found[0] is record:
            terms = found[1]
            if terms.until_us is None or now_us < terms.until_us:
                return terms
        terms = terms_of(record, now_us, self._signers, self._webhook_origin)
        self._opened[record.number] = (record, terms)
        while len(self._opened) > self._opened_max:
            self._opened.popitem(last=False)
        return terms

    def forget(self, number: int) -> None:
        """Drop what lies open of a subscription that is gone, or not any more what it was."""
        self._opened.pop(number, None)
