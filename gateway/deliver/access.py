"""Access tokens for sinks that want one by OAuth2 client credentials: fetched when needed, kept until nearly their end.

An attempt asks twice: ``prepare`` before anything else, since it may have to wait, and ``token`` when the request is
built, which never waits. So what is read between the two is the subscription as it is at the POST (S3d). For a
subscription and revision there is one fetch at a time.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

import anyio

from gateway.deliver.directory import Current
from gateway.deliver.masking import masked
from gateway.deliver.request import USER_AGENT
from gateway.deliver.terms import Terms
from gateway.domain.client_credentials import read_answer, token_request, unreachable
from gateway.domain.credentials import ClientCredentials
from gateway.domain.sending import Answer, SendError, SendErrorKind
from gateway.ports import Now, Sender, SubscriptionRecord
from otel.spellings import spellings

TOKENS_MAX = 4_096
"""Tokens that are kept; of more subscriptions, those that fetched first fetch again."""

_LOGGER = logging.getLogger(__name__)
_SECOND_US = 1_000_000
_UNAUTHORIZED = 401


@dataclass(slots=True)
class _Held:
    """How the last fetch for a revision ended: a token with the end of its use, or an error."""

    revision: int
    token: str | None = field(default=None, repr=False)
    until_us: int = 0
    error: SendError | None = None
    doubtful: bool = False
    """It took the place of one that the sink refused, and no answer has spoken for it yet."""


class AccessTokens:
    """The tokens of one process, in its memory alone."""

    def __init__(self, sender: Sender, now: Now, *, timeout_s: float) -> None:
        self._sender = sender
        self._now = now
        self._timeout_s = timeout_s
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._fetching: dict[tuple[int, int], anyio.Event] = {}
        self._dropped: set[tuple[int, int]] = set()

    async def prepare(self, current: Current) -> None:
        """See that there is a token, or the reason why there is none; who comes while one is fetched waits for it."""
        record = current.record
        held = self._of(record.number, record.revision)
        if held is not None and held.token is not None and self._now() < held.until_us:
            return
        key = (record.number, record.revision)
        under_way = self._fetching.get(key)
        if under_way is not None:
            await under_way.wait()
            return
        done = self._fetching[key] = anyio.Event()
        try:
            found = await self._fetch(record)
            found.doubtful = held is not None and held.doubtful
            if key in self._dropped:
                return  # deleted while it was fetched
            self._held[record.number] = found
            self._held.move_to_end(record.number)
            while len(self._held) > TOKENS_MAX:
                self._held.popitem(last=False)
        finally:
            del self._fetching[key]
            self._dropped.discard(key)
            done.set()

    def forget(self, number: int) -> None:
        """Drop the token of a subscription that is deleted."""
        self._held.pop(number, None)
        self._dropped |= {key for key in self._fetching if key[0] == number}

    def lacks(self, current: Current) -> bool:
        """Whether there is neither: the subscription was changed meanwhile, or its token was given up."""
        held = self._of(current.record.number, current.record.revision)
        return held is None or (held.token is None and held.error is None)

    def token(self, terms: Terms) -> str:
        """The token to send. Raises ``SendError`` with the reason why there is none."""
        held = self._of(terms.number, terms.revision)
        if held is not None and held.token is not None:
            return held.token
        if held is not None and held.error is not None:
            raise SendError(held.error.kind, held.error.detail)
        raise SendError(SendErrorKind.TOKEN_UNAVAILABLE, "the credential was changed just now")

    def answered(self, terms: Terms, token: str, answer: Answer) -> Answer:
        """Learn from what the sink answered, and mask the token in it (S11g).

        A 401 gives the token up, once: if the next one is refused as well, it is not the token that is wrong, and
        the endpoint is not asked again for each attempt.
        """
        held = self._of(terms.number, terms.revision)
        if held is not None and held.token == token:
            if answer.status != _UNAUTHORIZED:
                held.doubtful = False
            elif not held.doubtful:
                held.token, held.doubtful = None, True
        return masked(answer, spellings(token))

    def _of(self, number: int, revision: int) -> _Held | None:
        held = self._held.get(number)
        return held if held is not None and held.revision == revision else None

    async def _fetch(self, record: SubscriptionRecord) -> _Held:
        credential = record.spec.credential
        if not isinstance(credential, ClientCredentials):
            raise TypeError("a token is fetched for client credentials alone")
        request = token_request(
            credential, timeout_s=self._timeout_s, privileged=record.privileged, user_agent=USER_AGENT
        )
        try:
            answer = await self._sender.send(request)
        except SendError as error:
            return _Held(record.revision, error=unreachable(error))
        try:
            granted = read_answer(answer, credential)
        except SendError as error:
            return _Held(record.revision, error=error)
        except Exception as error:
            # Whatever an endpoint has made up: its own subscription is to feel it, and no other.
            _LOGGER.exception("the answer of a token endpoint could not be read")
            reason = f"the token endpoint's answer could not be read: {type(error).__name__}"
            return _Held(record.revision, error=SendError(SendErrorKind.TOKEN_MALFORMED, reason))
        until_us = self._now() + int(granted.usable_s * _SECOND_US)
        return _Held(record.revision, granted.token, until_us)
