"""API tokens as they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.api_tokens import ApiToken


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A token that is to be made; of the token itself only its hash gets here. ``by``: who asks, by token id."""

    hash: bytes = field(repr=False)
    name: str | None
    organization: str | None
    read_only: bool
    expires_at_us: int | None
    by: str | None


class ApiTokens(Protocol):
    """The tokens of the API, by their hashes. Making and revoking one is a fact (S1d)."""

    async def create(self, wanted: NewApiToken) -> ApiToken:
        """Make one; the fact names everything but the token. Raises ``Conflict`` where there are too many."""
        ...

    async def revoke(self, token_id: str, *, by: str | None) -> None:
        """It opens nothing from now on. Raises ``NotFound`` for one that is revoked already, or never was."""
        ...

    async def by_hash(self, token_hash: bytes) -> ApiToken | None:
        """The one of this hash, revoked and expired ones too, for as long as they are remembered."""
        ...

    async def get(self, token_id: str) -> ApiToken | None:
        """One that is not revoked."""
        ...

    async def get_many(self, token_ids: Sequence[str]) -> Mapping[str, ApiToken]:
        """Those that are not revoked."""
        ...

    async def page(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[ApiToken]:
        """Those that are not revoked, in order of creation, from behind one's time (microseconds) and id."""
        ...

    async def used(self, times: Mapping[str, int]) -> None:
        """Note when each was used last, by id; a time never goes back, and no fact says so."""
        ...
