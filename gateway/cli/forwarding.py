"""`listen --forward`: a subscription's events, fetched from the gateway and posted to a local URL, in log order.

What is posted is what the gateway would post in binary mode, and an answer means what it means to the gateway, with
two differences: what is to be tried again is tried until it succeeds, within seconds, and nothing is kept.
"""

import secrets
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from rich.text import Text

from gateway.cli.client import GatewayClient
from gateway.cli.following import follow
from gateway.cli.interrupts import ended_by_signals
from gateway.cli.output import plain, print_record, results, say
from gateway.cli.sse import ServerEvent
from gateway.deliver.request import STRUCTURED, USER_AGENT
from gateway.domain.delivery import Decision
from gateway.domain.retry import Answered, Failed, Outcome, Settlement, decide
from gateway.domain.retry_after import parse_retry_after
from gateway.domain.sending import SendErrorKind
from gateway.domain.signing import Signer
from gateway.errors import AnswerError, CheckFailed
from otel.origin import origin_trace
from otel.traceparent import valid_tracestate
from schemas import Envelope, EnvelopeError, parse_structured, short_of, to_binary

TIMEOUT_S = 15.0
BODY_BYTES_MAX = 64 * 1024
RETRIES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""How long to wait after each failure in a row; then as long as the last of them, again and again."""

_SPAN_BYTES = 8


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What is to be forwarded, as it was asked for."""

    url: str
    subscription_id: str
    after: int | None
    secret: str | None = field(repr=False)
    count: int | None


@dataclass(frozen=True, slots=True)
class Forwarded:
    """One event that was posted until it was settled.

    Attributes:
        position: Where it stands in the log.
        delivery_id: Its `webhook-id`: the same whenever this event of this subscription is forwarded.
        envelope: The event.
        attempts: How often it was posted.
        status: The last answer.
        delivered: Whether that was a 2xx; else it was refused for good.
    """

    position: int
    delivery_id: str
    envelope: Envelope
    attempts: int
    status: int
    delivered: bool


class Forwarder:
    """Posts events to one URL, one after the other.

    Args:
        url: Where to.
        subscription_id: Whose events.
        secret: Signs as the gateway would; None posts unsigned.
        transport: Another transport than the network's.
    """

    def __init__(
        self,
        url: str,
        subscription_id: str,
        *,
        secret: str | None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._subscription_id = subscription_id
        self._signer = None if secret is None else Signer([secret])
        self._http = httpx.Client(timeout=TIMEOUT_S, transport=transport, trust_env=False)
        self._sleep = sleep
        self.position: int | None = None
        """Everything up to here is settled, or was not for this subscription."""

    def run(self, events: Iterable[ServerEvent], settled: Callable[[Forwarded], bool]) -> None:
        """Forward events as they come; `settled` is told of each, and says whether to go on.

        Raises:
            AnswerError: What comes is no event.
            CheckFailed: The receiver wants no more (410), or not for a day.
        """
        with self._http:
            for event in events:
                if event.data is None:
                    self.position = _position(event, self.position)
                    continue
                forwarded = self._forward(event.id, event.data)
                self.position = forwarded.position
                if not settled(forwarded):
                    return

    def _forward(self, event_id: str, data: str) -> Forwarded:
        try:
            position, envelope = int(event_id), parse_structured(data.encode())
        except (ValueError, EnvelopeError):
            raise AnswerError("What the stream sends is not a CloudEvent with its position.") from None
        delivery_id = f"fwd_{self._subscription_id.removeprefix('sub_')}_{position}"
        attempts = 0
        while True:
            outcome = self._post(envelope, delivery_id)
            attempts += 1
            settlement = _settle(outcome, attempts - 1)
            if settlement.decision is not Decision.FAILED and isinstance(outcome, Answered):
                delivered = settlement.decision is Decision.DELIVERED
                return Forwarded(position, delivery_id, envelope, attempts, outcome.status, delivered)
            _stop_where_it_would(settlement, position)
            wait_s = max(0.0, settlement.next_at or 0.0)
            say(f"{position} was not taken ({settlement.error_class}), trying again in {wait_s:.1f} s.")
            self._sleep(wait_s)

    def _post(self, envelope: Envelope, delivery_id: str) -> Outcome:
        headers, body = request_of(envelope, delivery_id, self._signer, now_s=int(time.time()))
        try:
            with self._http.stream("POST", self._url, content=body, headers=headers) as answer:
                _pass_over(answer)
        except httpx.TimeoutException:
            return Failed(SendErrorKind.TIMEOUT)
        except httpx.TransportError:
            return Failed(SendErrorKind.CONNECT)
        after = answer.headers.get("retry-after")
        return Answered(answer.status_code, None if after is None else parse_retry_after(after, time.time()))


def forward(client: GatewayClient, asked: Forwarding, *, as_json: bool) -> None:
    """Forward until it was enough, or the process is asked to end; prints each event, and where to go on.

    Raises:
        CheckFailed: An event was not taken, and so many were asked for; or the receiver wants no more.
        NoServer, AnswerError: The gateway does not answer the first time, or refuses.
    """
    forwarder = Forwarder(asked.url, asked.subscription_id, secret=asked.secret)
    done = refused = 0

    def settled(forwarded: Forwarded) -> bool:
        nonlocal done, refused
        done += 1
        refused += not forwarded.delivered
        print_record(_record_of_forwarded(forwarded)) if as_json else _print_forwarded(forwarded)
        return asked.count is None or done < asked.count

    path = f"/v1/subscriptions/{quote(asked.subscription_id, safe='')}/stream"
    say(f"Forwarding {asked.subscription_id} to {asked.url}. Ctrl-C ends it.")
    with ended_by_signals():
        forwarder.run(follow(client, path, params={}, after=asked.after), settled)
    place = "" if forwarder.position is None else f" Go on with --after {forwarder.position}."
    say(f"{done} forwarded, {refused} of them not taken.{place}")
    if asked.count is not None and refused:
        raise CheckFailed(f"{refused} of {done} were not taken.")


def _record_of_forwarded(forwarded: Forwarded) -> dict[str, Any]:
    return {
        "position": forwarded.position,
        "delivery_id": forwarded.delivery_id,
        "attempts": forwarded.attempts,
        "answered": forwarded.status,
        "delivered": forwarded.delivered,
        "event": dict(forwarded.envelope.attributes),
    }


def _print_forwarded(forwarded: Forwarded) -> None:
    event = forwarded.envelope
    results().print(
        Text.assemble(
            (f"{forwarded.position:>8}", "dim"),
            (f" → {forwarded.status} ", "green" if forwarded.delivered else "bold red"),
            (plain(short_of(event.type) or event.type), "bold cyan"),
            f" {plain(event.subject)} {plain(event.id)}",
        ),
        soft_wrap=True,
    )
    sys.stdout.flush()


def request_of(
    envelope: Envelope, delivery_id: str, signer: Signer | None, *, now_s: int
) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of one attempt: those of the gateway, without what the subscriber adds of its own."""
    # Without data or content type there is nothing that binary mode could carry (INTERFACE).
    headers, body = (
        to_binary(envelope) if envelope.fits_binary else ([("Content-Type", STRUCTURED)], envelope.raw)
    )
    trace = origin_trace(envelope).with_span(secrets.token_hex(_SPAN_BYTES))
    headers += [
        ("User-Agent", USER_AGENT),
        ("X-Letta-Event", short_of(envelope.type) or envelope.type),
        ("X-Letta-Delivery", delivery_id),
        ("traceparent", trace.render()),
    ]
    state = envelope.attributes.get("tracestate")
    if isinstance(state, str) and valid_tracestate(state) and envelope.traceparent is not None:
        headers.append(("tracestate", state))
    if signer is None:
        headers += [("webhook-id", delivery_id), ("webhook-timestamp", str(now_s))]
    else:
        headers += signer.sign(delivery_id, now_s, body)
    return headers, body


def _pass_over(answer: httpx.Response) -> None:
    """Read the body, so that the connection can be used again; of an endless one only the beginning."""
    taken = 0
    for chunk in answer.iter_raw():
        taken += len(chunk)
        if taken > BODY_BYTES_MAX:
            return


def _settle(outcome: Outcome, failures: int) -> Settlement:
    """What the answer means; times count from now, and a schedule has no end."""
    return decide(
        outcome,
        failures_in_round=min(failures, len(RETRIES_S) - 1),
        schedule=RETRIES_S,
        now_s=0.0,
        jitter=0.5,
        round_started_s=0.0,
    )


def _stop_where_it_would(settlement: Settlement, position: int) -> None:
    """Where the gateway would disable or pause the subscription, there is nobody to resume this one."""
    if settlement.disable or settlement.pause:
        raise CheckFailed(
            f"The receiver answered {settlement.error_class} to {position}: the gateway would stop sending here.",
            hint=f"Go on with --after {position - 1}.",
        )


def _position(event: ServerEvent, before: int | None) -> int | None:
    return int(event.id) if event.id.isascii() and event.id.isdigit() else before
