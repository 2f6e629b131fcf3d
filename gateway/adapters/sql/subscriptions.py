"""The commands on subscriptions: a fact, the vault and the projections, in one transaction (S1d)."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.adapters.sql.absent import check_present
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.idempotency import drop_answers, remember
from gateway.adapters.sql.models import (
    DeliveryCursor,
    Pending,
    Subscription,
    SubscriptionRevision,
    VaultEntry,
)
from gateway.adapters.sql.saying import FactWriter
from gateway.adapters.sql.sealed import KINDS, SECRETS, SubscriptionVault
from gateway.adapters.sql.streams import cancel_replays
from gateway.adapters.sql.subscription_changing import consent_columns, passed, present_row, touch
from gateway.adapters.sql.subscription_making import number_them, revision_row, selection_data, store
from gateway.adapters.sql.subscription_reading import SubscriptionReader
from gateway.adapters.sql.subscription_rows import consent_of, skips_of
from gateway.adapters.sql.texts import same
from gateway.adapters.vault import Keyring
from gateway.domain import facts
from gateway.domain.handshake import UNASKED, Consent, HandshakeState
from gateway.domain.ids import NUMBER_MAX, RANDOM_BYTES, subscription_id
from gateway.domain.rotation import Secret, rotated, with_key
from gateway.domain.skips import added
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import NotFound, PreconditionFailed
from gateway.ports import (
    NewSubscription,
    Now,
    Random,
    Remembering,
    SubscriptionRecord,
    SubscriptionState,
)

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_REVISION = SubscriptionRevision.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]

_STATE_FACTS = {
    SubscriptionState.ACTIVE: facts.SUBSCRIPTION_RESUMED,
    SubscriptionState.PAUSED: facts.SUBSCRIPTION_PAUSED,
    SubscriptionState.DISABLED: facts.SUBSCRIPTION_DISABLED,
}


class SqlSubscriptions(SubscriptionReader):
    """Implements ``gateway.ports.Subscriptions`` on any ``Database``."""

    def __init__(
        self, database: Database, keyring: Keyring, *, fact_source: str, now: Now, random: Random
    ) -> None:
        super().__init__(database, SubscriptionVault(keyring))
        self._keyring = keyring
        self._now = now
        self._random = random
        self._facts = FactWriter(fact_source, random)

    async def create(
        self,
        spec: SubscriptionSpec,
        *,
        organization: str,
        privileged: bool,
        secret: str,
        remembering: Remembering | None = None,
    ) -> SubscriptionRecord:
        """See ``Subscriptions.create``."""
        wanted = NewSubscription(spec, organization, privileged, secret)
        [record] = await self._make([wanted], [""], remembering)
        return record

    async def create_many(self, wanted: Sequence[NewSubscription]) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.create_many``."""
        return await self._make(wanted, [f"/{index}" for index in range(len(wanted))])

    async def _make(
        self,
        wanted: Sequence[NewSubscription],
        pointers: Sequence[str],
        remembering: Remembering | None = None,
    ) -> list[SubscriptionRecord]:
        ids = [subscription_id(self._random(RANDOM_BYTES)) for _ in wanted]

        def work(connection: Connection) -> list[SubscriptionRecord]:
            now_us = self._now()
            made = number_them(connection, wanted, ids, pointers)
            said = [(item.fact(), item.asked.organization) for item in made]
            self._facts.say_all(connection, said, now_us)
            secrets = [self._keyed(item.spec, (Secret(item.secret),)) for item in wanted]
            store(connection, made, self._vault, now_us, secrets)
            for item in made:
                if item.asked.paused:
                    self._set_state(connection, item.number, SubscriptionState.PAUSED, cause="a command")
            records = self._read(connection, _SUBSCRIPTION.c.number.in_([item.number for item in made]))
            if remembering is not None:
                remember(connection, self._keyring, records[0], remembering, now_us)
            return records

        return await self._database.write(work) if wanted else []

    async def update(
        self,
        number: int,
        spec: SubscriptionSpec,
        *,
        unchanged_since_us: int | None = None,
        privileged: bool = True,
    ) -> SubscriptionRecord:
        """See ``Subscriptions.update``."""

        def work(connection: Connection) -> SubscriptionRecord:
            row = present_row(connection, number, unchanged_since_us=unchanged_since_us)
            known = self._one(connection, number)
            if known.spec.to_json() == spec.to_json():
                return known  # nothing is said twice
            if known.pull_only and not spec.pull_only:
                # It goes on from its cursor, which nothing has waited for while it was only fetched (S10b).
                check_present(connection, known.cursor + 1, NUMBER_MAX, pointer="/sink")
            revision, now_us = row.revision + 1, max(self._now(), row.updated_at + 1)
            consent = known.consent.revised(now_us, sink_changed=spec.sink != known.spec.sink)
            data = selection_data(spec, row.organization, number, revision)
            changed: dict[str, object] = {"revision": revision}
            moved = spec.destinations != known.spec.destinations
            if row.privileged and moved and not privileged:
                data["privileged"] = changed["privileged"] = False
            if consent != known.consent:
                data["consent"] = consent.to_json()
                changed |= consent_columns(consent)
            fact = facts.Fact(facts.SUBSCRIPTION_UPDATED, row.id, str(revision), data)
            position = self._facts.say(connection, fact, now_us, organization=row.organization)
            touch(connection, number, now_us, **changed)
            connection.execute(insert(_REVISION), [revision_row(number, revision, position, spec)])
            connection.execute(insert(_VAULT), [self._vault.spec_row(row.id, revision, spec)])
            secrets = self._keyed(spec, known.secrets)
            if secrets != known.secrets:
                self._seal(connection, row.id, secrets)
            if spec.pull_only:
                # Nothing is sent any more: the cursor stands, as that of a paused stream does (S10b).
                connection.execute(update(_CURSOR).where(_CURSOR.c.number == number).values(live=False))
            return self._one(connection, number)

        return await self._database.write(work)

    async def set_state(
        self,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> SubscriptionRecord:
        """See ``Subscriptions.set_state``."""

        def work(connection: Connection) -> SubscriptionRecord:
            self._set_state(connection, number, state, cause=cause, revision=revision, skip=skip)
            return self._one(connection, number)

        return await self._database.write(work)

    def _set_state(
        self,
        connection: Connection,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> None:
        row = present_row(connection, number, revision=revision)
        now_us = max(self._now(), row.updated_at + 1)
        # A resume from now skips what lies behind, of an active stream too (S3h).
        if row.state != state.value or skip:
            data: dict[str, object] = {
                "subscription_id": row.id,
                "number": number,
                "revision": row.revision,
                "cause": cause,
            }
            after = passed(connection, row)
            if skip:
                data["skipped_after"] = after
            fact = facts.Fact(_STATE_FACTS[state], row.id, f"{row.state}:{now_us}", data)
            position = self._facts.say(connection, fact, now_us, organization=row.organization)
            values: dict[str, object] = {"live": False}
            changes: dict[str, object] = {"state": state.value}
            if skip:
                values["cursor"] = position
                changes["skips"] = json.dumps(added(skips_of(row.skips), after, position))
            touch(connection, number, now_us, **changes)
            connection.execute(update(_CURSOR).where(_CURSOR.c.number == number).values(values))

    async def rotate_secret(
        self, number: int, secret: str, *, unchanged_since_us: int | None = None
    ) -> SubscriptionRecord:
        """See ``Subscriptions.rotate_secret``."""

        def work(connection: Connection) -> SubscriptionRecord:
            row = present_row(connection, number, unchanged_since_us=unchanged_since_us)
            known, now_us = self._one(connection, number), max(self._now(), row.updated_at + 1)
            secrets = rotated(known.secrets, secret, now_us)
            if secrets == known.secrets:
                return known  # nothing is said twice
            rotation = self._seal(connection, row.id, self._keyed(known.spec, secrets))
            fact = facts.secret_rotated(row.id, number, row.revision, rotation)
            self._facts.say(connection, fact, now_us, organization=row.organization)
            touch(connection, number, now_us)
            return self._one(connection, number)

        record = await self._database.write(work)
        self._vault.forget(record.id)
        return record

    async def set_consent(
        self, number: int, consent: Consent, *, revision: int | None = None, callback: str | None = None
    ) -> SubscriptionRecord:
        """See ``Subscriptions.set_consent``."""

        def work(connection: Connection) -> SubscriptionRecord:
            row = present_row(connection, number, revision=revision)
            if callback is not None and row.callback != callback:
                raise PreconditionFailed("Another handshake has begun, or this one is over.")
            self._consent(connection, row, consent)
            return self._one(connection, number)

        return await self._database.write(work)

    async def called_back(self, callback: str, per_minute: int | None) -> SubscriptionRecord:
        """See ``Subscriptions.called_back``."""
        statement = select(_SUBSCRIPTION).where(same(_SUBSCRIPTION.c.callback, callback))
        # Anybody may ask, without a token: the one writer is taken only for a callback that there is.
        if await self._database.read(lambda connection: connection.execute(statement).first()) is None:
            raise NotFound("No handshake waits for this callback.")

        def work(connection: Connection) -> SubscriptionRecord:
            row = connection.execute(statement).one_or_none()
            now_us = self._now()
            if row is None or (consent_of(row.consent).until_us or 0) <= now_us:
                raise NotFound("No handshake waits for this callback.")
            self._consent(connection, row, Consent(HandshakeState.GRANTED, now_us, per_minute))
            return self._one(connection, row.number)

        return await self._database.write(work)

    def _consent(self, connection: Connection, row: Row[Any], consent: Consent) -> None:
        now_us = max(self._now(), row.updated_at + 1)
        fact = facts.handshake(row.id, row.number, row.revision, consent, now_us)
        self._facts.say(connection, fact, now_us, organization=row.organization)
        touch(connection, row.number, now_us, **consent_columns(consent))

    async def delete(self, number: int, *, unchanged_since_us: int | None = None) -> None:
        """See ``Subscriptions.delete``."""

        def work(connection: Connection) -> str:
            row = present_row(connection, number, unchanged_since_us=unchanged_since_us)
            now_us = max(self._now(), row.updated_at + 1)
            data = {"subscription_id": row.id, "number": number, "revision": row.revision}
            fact = facts.Fact(facts.SUBSCRIPTION_DELETED, row.id, "deleted", data)
            self._facts.say(connection, fact, now_us, organization=row.organization)
            ended: dict[str, object] = {"state": SubscriptionState.DELETED.value, **consent_columns(UNASKED)}
            touch(connection, number, now_us, skips="[]", **ended)
            connection.execute(delete(_CURSOR).where(_CURSOR.c.number == number))
            connection.execute(delete(_PENDING).where(_PENDING.c.number == number))
            connection.execute(delete(_VAULT).where(_VAULT.c.kind.in_(KINDS), _VAULT.c.owner == row.id))
            drop_answers(connection, row.id)
            cancel_replays(connection, number, now_us)
            return str(row.id)

        self._vault.forget(await self._database.write(work))

    def _keyed(self, spec: SubscriptionSpec, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        return with_key(secrets, self._random) if spec.signs_v1a else secrets

    def _seal(self, connection: Connection, owner: str, secrets: Sequence[Secret]) -> int:
        """Put other secrets in the place of those that are there, and say how often that was done."""
        here = (_VAULT.c.kind == SECRETS, _VAULT.c.owner == owner)
        rotation = int(1 + connection.execute(select(func.max(_VAULT.c.revision)).where(*here)).scalar_one())
        # What still signs is in the new row: the old one would only keep what has ended.
        connection.execute(delete(_VAULT).where(*here))
        connection.execute(insert(_VAULT), [self._vault.secrets_row(owner, rotation, secrets)])
        return rotation
