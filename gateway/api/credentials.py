"""Which token opens what: the first administrator token, and those that are kept by their hashes.

A token that was read is good for a second without asking again, so that a request costs no read of the database and
one revoked elsewhere is found out within that second; one revoked here is forgotten at once. When a token was last
used is noted here, and written at most once a minute, all of them together: a request never writes.
"""

import contextlib
import hashlib
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import anyio

from gateway.domain.api_tokens import ApiToken, Principal, Standing, token_hash
from gateway.errors import GatewayError, InvalidToken
from gateway.ports import ApiTokens, NewApiToken, Now

CHECK_S: Final = 1.0
"""How long a token may go on that another process has revoked, and how often open streams are looked after."""

NOTE_S: Final = 60.0
"""How often it is written when tokens were last used."""

_KNOWN_MAX: Final = 1_024
_END_S: Final = 2.0
_LOGGER = logging.getLogger(__name__)
_WHY: Final = {
    Standing.EXPIRED: "This token has expired.",
    Standing.REVOKED: "This token was revoked.",
}


class Credentials:
    """Knows who a token stands for, and who still holds a stream open."""

    def __init__(
        self,
        tokens: ApiTokens,
        first_token: str,
        *,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tokens = tokens
        self._first = _digest(first_token) if first_token else None
        self._now = now
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[ApiToken, float]] = OrderedDict()
        self._revocations = 0
        self._watches: dict[int, tuple[Principal, Callable[[], None]]] = {}
        self._watched = 0
        self._uses: dict[str, int] = {}

    async def principal(self, text: str) -> Principal:
        """Who this token stands for. Raises ``InvalidToken``."""
        # Digests are compared: neither the place of the first difference nor the token's length shows in the time.
        if self._first is not None and hmac.compare_digest(_digest(text), self._first):
            return Principal(organization=None, writes=True)
        found = await self._find(text)
        if found is None:
            raise InvalidToken("This token is not known here.")
        now_us = self._now()
        standing = found.standing(now_us)
        if standing is not Standing.ACTIVE:
            raise InvalidToken(_WHY[standing])
        self._uses[found.id] = now_us
        return found.principal()

    async def create(self, wanted: NewApiToken) -> ApiToken:
        """Make a token. See ``ApiTokens.create``."""
        return await self.tokens.create(wanted)

    async def revoke(self, token_id: str, *, by: str | None) -> None:
        """End a token, and every stream that it holds open. See ``ApiTokens.revoke``."""
        await self.tokens.revoke(token_id, by=by)
        # What is being read just now may be from before, and is not to be kept.
        self._revocations += 1
        for key in [key for key, (known, _) in self._known.items() if known.id == token_id]:
            del self._known[key]
        self._uses.pop(token_id, None)
        self._end(lambda principal: principal.token_id == token_id)

    def as_used(self, token: ApiToken) -> ApiToken:
        """The same with its last use as far as it is known here."""
        at_us = self._uses.get(token.id)
        return token if at_us is None else replace(token, last_used_at_us=at_us)

    @contextlib.contextmanager
    def watch(self, principal: Principal, end: Callable[[], None]) -> Iterator[None]:
        """Call ``end``, once, as soon as the token of this principal opens nothing any more."""
        if principal.token_id is None:
            yield  # a setting, which counts for as long as the process
            return
        self._watched += 1
        mine = self._watched
        self._watches[mine] = (principal, end)
        try:
            yield
        finally:
            self._watches.pop(mine, None)

    async def run(self) -> None:
        """Look after open streams and note last uses, until cancelled; then note what is left."""
        write_at = self._monotonic() + NOTE_S
        try:
            while True:
                await anyio.sleep(CHECK_S)
                await self.check()
                if self._monotonic() >= write_at:
                    await self.note_uses()
                    write_at = self._monotonic() + NOTE_S
        finally:
            with anyio.move_on_after(_END_S, shield=True):
                await self.note_uses()

    async def check(self) -> None:
        """End the streams whose tokens were revoked or have expired."""
        now_us = self._now()
        self._end(lambda principal: principal.expires_at_us is not None and principal.expires_at_us <= now_us)
        held = sorted({str(principal.token_id) for principal, _ in self._watches.values()})
        if not held:
            return
        try:
            present = await self.tokens.get_many(held)
        except GatewayError as error:
            _LOGGER.warning("it is not known which tokens still count: %s", error.detail)
            return
        gone = set(held) - present.keys()
        self._end(lambda principal: principal.token_id in gone)

    async def note_uses(self) -> None:
        """Write when tokens were last used; where that cannot be done, the next time has it."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self.tokens.used(uses)
        except GatewayError as error:
            self._uses = uses | self._uses
            _LOGGER.warning("when tokens were last used is not written yet: %s", error.detail)

    async def _find(self, text: str) -> ApiToken | None:
        key = token_hash(text)
        if key is None:
            return None
        seen, moment = self._known.get(key), self._monotonic()
        if seen is not None and moment - seen[1] < CHECK_S:
            return seen[0]
        before = self._revocations
        found = await self.tokens.by_hash(key)
        if found is None or before != self._revocations:
            self._known.pop(key, None)
            return found
        self._known[key] = (found, moment)
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
        return found

    def _end(self, over: Callable[[Principal], bool]) -> None:
        for mine, (principal, end) in list(self._watches.items()):
            if over(principal):
                del self._watches[mine]
                end()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
