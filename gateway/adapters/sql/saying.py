"""How the log says a fact: the gateway's own entry, in the transaction of what it is about (S1d)."""

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.adapters.sql.append import append, prepare
from gateway.domain.facts import Fact
from gateway.domain.subscription import EVERY_ORGANIZATION
from gateway.ports import Kind, NewEntry, Random


class FactWriter:
    """Appends facts of one source.

    Args:
        source: The gateway's own, which nothing from outside may have (S1b).
        random: Of nonces.
    """

    def __init__(self, source: str, random: Random) -> None:
        self._source = source
        self._random = random

    def say(
        self,
        connection: Connection,
        fact: Fact,
        now_us: int,
        *,
        organization: str | None = None,
        addressee: int | None = None,
    ) -> int:
        """Append a fact, and return its position; one that was said before stands where it stood (S1d).

        Without an organization, or of every one, it is the administrators'.
        """
        [position] = self.say_all(connection, [(fact, organization)], now_us, addressee=addressee)
        return position

    def say_all(
        self,
        connection: Connection,
        facts: Sequence[tuple[Fact, str | None]],
        now_us: int,
        *,
        addressee: int | None = None,
    ) -> list[int]:
        """The same for many, each with its organization."""
        entries = [self._entry(fact, organization, now_us) for fact, organization in facts]
        prepared = prepare(entries, self._random)
        said = append(connection, prepared, now_us=now_us, kind=Kind.FACT, addressee=addressee)
        return [item.position for item in said]

    def _entry(self, fact: Fact, organization: str | None, now_us: int) -> NewEntry:
        return NewEntry(
            type=fact.type,
            source=self._source,
            id=fact.id,
            envelope=fact.envelope(self._source, now_us).raw,
            subject=fact.subject,
            organization=None if organization == EVERY_ORGANIZATION else organization,
        )
