"""The tokens of the API in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.adapters.memory.store import MemoryStore
from gateway.domain import facts
from gateway.domain.api_tokens import REMEMBERED_US, TOKENS_MAX, ApiToken, forgettable
from gateway.domain.ids import RANDOM_BYTES, token_id
from gateway.errors import Conflict, NotFound
from gateway.ports import Kind, NewApiToken, NewEntry


class MemoryApiTokens:
    """Implements ``gateway.ports.ApiTokens``."""

    def __init__(self, store: MemoryStore, *, fact_source: str) -> None:
        self._store = store
        self._fact_source = fact_source

    async def create(self, wanted: NewApiToken) -> ApiToken:
        """See ``ApiTokens.create``."""
        store, now_us = self._store, self._store.now()
        for key, known in list(store.tokens.items()):
            if forgettable(known, now_us - REMEMBERED_US):
                del store.tokens[key]
        if len(store.tokens) >= TOKENS_MAX:
            raise Conflict(f"There are {TOKENS_MAX} tokens already.", hint="Revoke those that nobody uses.")
        made = ApiToken(
            id=token_id(store.random(RANDOM_BYTES)),
            name=wanted.name,
            organization=wanted.organization,
            read_only=wanted.read_only,
            created_at_us=now_us,
            expires_at_us=wanted.expires_at_us,
        )
        self._say(facts.token_created(made, wanted.by), now_us)
        store.tokens[wanted.hash] = made
        return made

    async def revoke(self, token_id: str, *, by: str | None) -> None:
        """See ``ApiTokens.revoke``."""
        for key, known in self._store.tokens.items():
            if known.id == token_id and known.revoked_at_us is None:
                now_us = self._store.now()
                self._say(facts.token_revoked(known, by), now_us)
                self._store.tokens[key] = replace(known, revoked_at_us=now_us)
                return
        raise NotFound("There is no token with this id.")

    async def by_hash(self, token_hash: bytes) -> ApiToken | None:
        """See ``ApiTokens.by_hash``."""
        return self._store.tokens.get(token_hash)

    async def get(self, token_id: str) -> ApiToken | None:
        """See ``ApiTokens.get``."""
        return (await self.get_many([token_id])).get(token_id)

    async def get_many(self, token_ids: Sequence[str]) -> Mapping[str, ApiToken]:
        """See ``ApiTokens.get_many``."""
        return {known.id: known for known in self._present() if known.id in token_ids}

    async def page(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[ApiToken]:
        """See ``ApiTokens.page``."""
        found = [known for known in self._present() if after is None or _place(known) > after]
        return sorted(found, key=_place)[:limit]

    async def used(self, times: Mapping[str, int]) -> None:
        """See ``ApiTokens.used``."""
        for key, known in self._store.tokens.items():
            if known.id in times:
                at_us = max(times[known.id], known.last_used_at_us or 0)
                self._store.tokens[key] = replace(known, last_used_at_us=at_us)

    def _present(self) -> list[ApiToken]:
        return [known for known in self._store.tokens.values() if known.revoked_at_us is None]

    def _say(self, fact: facts.Fact, now_us: int) -> None:
        envelope = fact.envelope(self._fact_source, now_us).raw
        entry = NewEntry(fact.type, self._fact_source, fact.id, envelope, subject=fact.subject)
        self._store.append([entry], kind=Kind.FACT)


def _place(known: ApiToken) -> tuple[int, str]:
    return known.created_at_us, known.id
