"""The commands on subscriptions in memory. Secrets are in the open here: nothing of this reaches a disk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.adapters.memory.idempotency import check, remember
from gateway.adapters.memory.store import Cursor, MemoryStore
from gateway.domain import facts
from gateway.domain.handshake import Consent, HandshakeState
from gateway.domain.ids import RANDOM_BYTES, subscription_id
from gateway.domain.rotation import Secret, rotated, with_key
from gateway.domain.skips import added
from gateway.domain.subscription import EVERY_ORGANIZATION, StartAt, SubscriptionSpec, sink_origin
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound, PreconditionFailed
from gateway.ports import (
    Kind,
    Named,
    NewEntry,
    NewSubscription,
    Opened,
    Remembering,
    ReplayState,
    Revision,
    SubscriptionHistory,
    SubscriptionRecord,
    SubscriptionState,
)

_SECOND_US = 1_000_000
_STATE_FACTS = {
    SubscriptionState.ACTIVE: facts.SUBSCRIPTION_RESUMED,
    SubscriptionState.PAUSED: facts.SUBSCRIPTION_PAUSED,
    SubscriptionState.DISABLED: facts.SUBSCRIPTION_DISABLED,
}


class MemorySubscriptions:
    """Implements ``gateway.ports.Subscriptions``."""

    def __init__(self, store: MemoryStore, *, fact_source: str) -> None:
        self._store = store
        self._fact_source = fact_source

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
        if remembering is not None:
            check(self._store, remembering)
        [record] = self._make([NewSubscription(spec, organization, privileged, secret)], [""])
        if remembering is not None:
            remember(self._store, record, remembering)
        return record

    async def create_many(self, wanted: Sequence[NewSubscription]) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.create_many``."""
        return self._make(wanted, [f"/{index}" for index in range(len(wanted))])

    def _make(self, wanted: Sequence[NewSubscription], pointers: Sequence[str]) -> list[SubscriptionRecord]:
        head, now_us = self._store.head, self._store.now()
        starts = [self._start(asked.spec) for asked in wanted]
        faults = [
            FieldError(f"{pointer}/config/start", f"the log ends at position {head}")
            for pointer, start in zip(pointers, starts, strict=True)
            if start is not None and start > head
        ]
        if faults:
            raise InvalidRequest("This start lies ahead of the log.", fields=faults)
        if any(self._webhook(asked.organization, asked.webhook) for asked in wanted if asked.webhook):
            raise Conflict("This webhook is there already.", hint="Change that one.")
        return [self._put(asked, start, now_us) for asked, start in zip(wanted, starts, strict=True)]

    def _put(self, asked: NewSubscription, asked_start: int | None, now_us: int) -> SubscriptionRecord:
        store, spec, organization = self._store, asked.spec, asked.organization
        number, position = len(store.names) + 1, store.head + 1
        start = position if asked_start is None else asked_start
        new_id = subscription_id(store.random(RANDOM_BYTES))
        data = _selection(spec, organization, number, 1)
        data |= {"start_position": start, "privileged": asked.privileged}
        if asked.webhook is not None:
            data["webhook"] = asked.webhook
        self._fact(facts.Fact(facts.SUBSCRIPTION_CREATED, new_id, "1", data), organization, now_us)
        store.names[number] = (new_id, organization)
        store.numbers[new_id] = number
        live = start == position and not spec.pull_only
        store.cursors[number] = Cursor(start, live=live)
        store.subscriptions[number] = SubscriptionRecord(
            number=number,
            id=new_id,
            organization=organization,
            privileged=asked.privileged,
            state=SubscriptionState.ACTIVE,
            revision=1,
            created_at_us=now_us,
            updated_at_us=now_us,
            created_position=position,
            start_position=start,
            cursor=start,
            live=live,
            pending=0,
            private=Opened(spec, self._keyed(spec, (Secret(asked.secret),))),
            revisions=(Revision(1, position, spec.selector(organization)),),
            webhook=asked.webhook,
        )
        if asked.paused:
            self._set_state(number, SubscriptionState.PAUSED, cause="a command")
        return self._now(number)

    async def update(
        self,
        number: int,
        spec: SubscriptionSpec,
        *,
        unchanged_since_us: int | None = None,
        privileged: bool = True,
    ) -> SubscriptionRecord:
        """See ``Subscriptions.update``."""
        record = self._present(number, unchanged_since_us)
        if record.spec.to_json() == spec.to_json():
            return self._now(number)  # nothing is said twice
        revision, now_us = record.revision + 1, self._after(record)
        consent = record.consent.revised(now_us, sink_changed=spec.sink != record.spec.sink)
        stays = record.privileged and (privileged or spec.destinations == record.spec.destinations)
        data = _selection(spec, record.organization, number, revision)
        if stays != record.privileged:
            data["privileged"] = stays
        if consent != record.consent:
            data["consent"] = consent.to_json()
        fact = facts.Fact(facts.SUBSCRIPTION_UPDATED, record.id, str(revision), data)
        position = self._fact(fact, record.organization, now_us)
        added = Revision(revision, position, spec.selector(record.organization))
        if spec.pull_only:
            self._store.cursors[number].live = False
        self._store.subscriptions[number] = replace(
            record,
            privileged=stays,
            revision=revision,
            updated_at_us=now_us,
            private=Opened(spec, self._keyed(spec, record.secrets)),
            revisions=(*record.revisions, added),
            consent=consent,
        )
        return self._now(number)

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
        self._set_state(number, state, cause=cause, revision=revision, skip=skip)
        return self._now(number)

    def _set_state(
        self,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> None:
        record = self._present(number, None)
        if revision is not None and record.revision != revision:
            raise PreconditionFailed(f"The subscription is at revision {record.revision} now.")
        if record.state is not state or skip:
            now_us = self._after(record)
            data: dict[str, object] = {
                "subscription_id": record.id,
                "number": number,
                "revision": record.revision,
                "cause": cause,
            }
            after = _history(record).passed(self._store.routed)
            if skip:
                data["skipped_after"] = after
            fact = facts.Fact(_STATE_FACTS[state], record.id, f"{record.state}:{now_us}", data)
            position = self._fact(fact, record.organization, now_us)
            skips = record.skips
            if skip:
                skips = added(skips, after, position)
            self._store.subscriptions[number] = replace(
                record, state=state, updated_at_us=now_us, skips=skips
            )
            cursor = self._store.cursors[number]
            cursor.live = False
            if skip:
                cursor.position = position

    async def rotate_secret(
        self, number: int, secret: str, *, unchanged_since_us: int | None = None
    ) -> SubscriptionRecord:
        """See ``Subscriptions.rotate_secret``."""
        record = self._present(number, unchanged_since_us)
        now_us = self._after(record)
        secrets = rotated(record.secrets, secret, now_us)
        if secrets != record.secrets:
            rotation = self._store.rotations[number] = self._store.rotations.get(number, 1) + 1
            fact = facts.secret_rotated(record.id, number, record.revision, rotation)
            self._fact(fact, record.organization, now_us)
            self._store.subscriptions[number] = replace(
                record,
                updated_at_us=now_us,
                private=Opened(record.spec, self._keyed(record.spec, secrets)),
            )
        return self._now(number)

    async def set_consent(
        self, number: int, consent: Consent, *, revision: int | None = None, callback: str | None = None
    ) -> SubscriptionRecord:
        """See ``Subscriptions.set_consent``."""
        record = self._present(number, None)
        if revision is not None and record.revision != revision:
            raise PreconditionFailed(f"The subscription is at revision {record.revision} now.")
        if callback is not None and record.consent.callback != callback:
            raise PreconditionFailed("Another handshake has begun, or this one is over.")
        return self._consent(record, consent)

    async def called_back(self, callback: str, per_minute: int | None) -> SubscriptionRecord:
        """See ``Subscriptions.called_back``."""
        now_us = self._store.now()
        for record in self._store.subscriptions.values():
            if record is not None and record.consent.callback == callback:
                if (record.consent.until_us or 0) <= now_us:
                    break
                return self._consent(record, Consent(HandshakeState.GRANTED, now_us, per_minute))
        raise NotFound("No handshake waits for this callback.")

    def _consent(self, record: SubscriptionRecord, consent: Consent) -> SubscriptionRecord:
        now_us = self._after(record)
        fact = facts.handshake(record.id, record.number, record.revision, consent, now_us)
        self._fact(fact, record.organization, now_us)
        self._store.subscriptions[record.number] = replace(record, updated_at_us=now_us, consent=consent)
        return self._now(record.number)

    async def delete(self, number: int, *, unchanged_since_us: int | None = None) -> None:
        """See ``Subscriptions.delete``."""
        record, store = self._present(number, unchanged_since_us), self._store
        data = {"subscription_id": record.id, "number": number, "revision": record.revision}
        fact, now_us = facts.Fact(facts.SUBSCRIPTION_DELETED, record.id, "deleted", data), self._after(record)
        self._fact(fact, record.organization, now_us)
        store.subscriptions[number] = None
        store.ended[number] = replace(
            _history(record), state=SubscriptionState.DELETED, cursor=None, live=False, pending=0
        )
        del store.cursors[number]
        for key in [key for key in store.pending if key[0] == number]:
            del store.pending[key]
        store.notes.pop(number, None)
        for replay in store.replays.values():
            if replay.number == number and replay.state is ReplayState.RUNNING:
                store.replays[replay.replay] = replace(
                    replay, state=ReplayState.CANCELLED, ended_at_us=now_us
                )

    async def get(
        self, subscription_id: str, *, organization: str | None = None
    ) -> SubscriptionRecord | None:
        """See ``Subscriptions.get``."""
        found = self._store.record(self._store.numbers.get(subscription_id, 0))
        return found if found is None or organization in {None, found.organization} else None

    async def webhook(self, organization: str, key: str) -> SubscriptionRecord | None:
        """See ``Subscriptions.webhook``."""
        return self._webhook(organization, key)

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        """See ``Subscriptions.by_number``."""
        return self._store.record(number)

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.by_numbers``."""
        records = [self._store.record(number) for number in sorted(set(numbers))]
        return [record for record in records if record is not None]

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.page``."""
        records = [self._store.record(number) for number in self._store.names if number > after]
        found = [
            record for record in records if record is not None and organization in {None, record.organization}
        ]
        return found[:limit]

    async def history(self, subscription_id: str) -> SubscriptionHistory | None:
        """See ``Subscriptions.history``."""
        number = self._store.numbers.get(subscription_id, 0)
        record = self._store.record(number)
        return self._store.ended.get(number) if record is None else _history(record)

    async def ids(self, numbers: Sequence[int]) -> Mapping[int, Named]:
        """See ``Subscriptions.ids``."""
        store = self._store
        return {
            number: Named(*store.names[number], deleted=store.is_deleted(number))
            for number in numbers
            if number in store.names
        }

    def _webhook(self, organization: str, key: str) -> SubscriptionRecord | None:
        records = (self._store.record(number) for number in self._store.subscriptions)
        wanted = (organization, key)
        return next((item for item in records if item and (item.organization, item.webhook) == wanted), None)

    def _keyed(self, spec: SubscriptionSpec, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        return with_key(secrets, self._store.random) if spec.signs_v1a else secrets

    def _now(self, number: int) -> SubscriptionRecord:
        return self._present(number, None)

    def _present(self, number: int, unchanged_since_us: int | None) -> SubscriptionRecord:
        record = self._store.record(number)
        if record is None:
            raise NotFound("This subscription does not exist.")
        if unchanged_since_us is not None and record.updated_at_us != unchanged_since_us:
            raise PreconditionFailed("The subscription was changed since you read it.")
        return record

    def _after(self, record: SubscriptionRecord) -> int:
        return max(self._store.now(), record.updated_at_us + 1)

    def _fact(self, fact: facts.Fact, organization: str, now_us: int) -> int:
        entry = NewEntry(
            type=fact.type,
            source=self._fact_source,
            id=fact.id,
            envelope=fact.envelope(self._fact_source, now_us).raw,
            subject=fact.subject,
            organization=None if organization == EVERY_ORGANIZATION else organization,
        )
        return self._store.append([entry], kind=Kind.FACT)[0].position

    def _start(self, spec: SubscriptionSpec) -> int | None:
        match spec.config.start:
            case StartAt.NOW:
                return None
            case StartAt.BEGINNING:
                return 0
            case int(position):
                return position
            case moment:
                return self._store.position_before(int(moment.timestamp() * _SECOND_US))


def _history(record: SubscriptionRecord) -> SubscriptionHistory:
    return SubscriptionHistory(
        number=record.number,
        id=record.id,
        organization=record.organization,
        state=record.state,
        start_position=record.start_position,
        revisions=record.revisions,
        cursor=record.cursor,
        live=record.live,
        pending=record.pending,
    )


def _selection(spec: SubscriptionSpec, organization: str, number: int, revision: int) -> dict[str, object]:
    return {
        "number": number,
        "organization": organization,
        "revision": revision,
        "sink_origin": sink_origin(spec.sink),
        **spec.selection_json(),
    }
