"""Making subscriptions: the facts, the vault and the projections of any number of them, in one transaction (S1d)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select

from gateway.adapters.sql.absent import check_present
from gateway.adapters.sql.deliveries import shard_of
from gateway.adapters.sql.log import position_before
from gateway.adapters.sql.models import (
    IS_WEBHOOK,
    DeliveryCursor,
    LogHead,
    Subscription,
    SubscriptionRevision,
    VaultEntry,
)
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.sql.texts import same
from gateway.domain import facts
from gateway.domain.rotation import Secret
from gateway.domain.subscription import StartAt, SubscriptionSpec, sink_origin
from gateway.errors import Conflict, FieldError, InvalidRequest
from gateway.ports import NewSubscription, SubscriptionState

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_REVISION = SubscriptionRevision.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Making:
    """One that is being made: its number, the position of its fact, and the position behind which it begins."""

    asked: NewSubscription
    id: str
    number: int
    position: int
    start: int

    def fact(self) -> facts.Fact:
        """What the log says of it."""
        spec, organization = self.asked.spec, self.asked.organization
        data = selection_data(spec, organization, self.number, revision=1)
        data |= {"start_position": self.start, "privileged": self.asked.privileged}
        if self.asked.webhook is not None:
            data["webhook"] = self.asked.webhook
        return facts.Fact(facts.SUBSCRIPTION_CREATED, self.id, "1", data)


def number_them(
    connection: Connection, wanted: Sequence[NewSubscription], ids: Sequence[str], pointers: Sequence[str]
) -> list[Making]:
    """Give each its number and its positions; their facts are to be appended next, in this order.

    Raises ``InvalidRequest`` with every start that lies ahead of the log, under its pointer; and ``Conflict`` for a
    webhook that there is already.
    """
    _check_webhooks(connection, wanted)
    first = 1 + (connection.execute(select(func.max(_SUBSCRIPTION.c.number))).scalar() or 0)
    head = connection.execute(select(_HEAD.c.position)).scalar_one()
    faults: list[FieldError] = []
    made = []
    for index, (asked, new_id) in enumerate(zip(wanted, ids, strict=True)):
        position = head + 1 + index
        start = _start(connection, asked.spec)
        if start is not None and start < head:
            check_present(connection, start + 1, head, pointer=f"{pointers[index]}/config/start")
        if start is not None and start > head:
            faults.append(FieldError(f"{pointers[index]}/config/start", f"the log ends at position {head}"))
        made.append(Making(asked, new_id, first + index, position, position if start is None else start))
    if faults:
        raise InvalidRequest("This start lies ahead of the log.", fields=faults)
    return made


def store(
    connection: Connection,
    made: Sequence[Making],
    vault: SubscriptionVault,
    now_us: int,
    secrets: Sequence[Sequence[Secret]],
) -> None:
    """Write what stands beside the facts."""
    connection.execute(insert(_SUBSCRIPTION), [_subscription_row(item, now_us) for item in made])
    connection.execute(
        insert(_REVISION), [revision_row(item.number, 1, item.position, item.asked.spec) for item in made]
    )
    sealed = [vault.spec_row(item.id, 1, item.asked.spec) for item in made]
    sealed += [vault.secrets_row(item.id, 1, own) for item, own in zip(made, secrets, strict=True)]
    connection.execute(insert(_VAULT), sealed)
    connection.execute(insert(_CURSOR), [_cursor_row(item) for item in made])


def revision_row(number: int, revision: int, position: int, spec: SubscriptionSpec) -> dict[str, Any]:
    """The selection that is in force behind a position."""
    return {
        "number": number,
        "revision": revision,
        "position": position,
        "selection": json.dumps(spec.selection_json()),
    }


def selection_data(
    spec: SubscriptionSpec, organization: str, number: int, revision: int
) -> dict[str, object]:
    """What a fact carries of a revision: the selection whole, of the sink its origin alone (S1d)."""
    return {
        "number": number,
        "organization": organization,
        "revision": revision,
        "sink_origin": sink_origin(spec.sink),
        **spec.selection_json(),
    }


def _subscription_row(item: Making, now_us: int) -> dict[str, Any]:
    return {
        "number": item.number,
        "id": item.id,
        "organization": item.asked.organization,
        "privileged": item.asked.privileged,
        "state": SubscriptionState.ACTIVE.value,
        "revision": 1,
        "start_position": item.start,
        "created_position": item.position,
        "created_at": now_us,
        "updated_at": now_us,
        "webhook": item.asked.webhook,
    }


def _check_webhooks(connection: Connection, wanted: Sequence[NewSubscription]) -> None:
    for asked in wanted:
        if asked.webhook is not None:
            found = select(_SUBSCRIPTION.c.number).where(is_webhook(asked.organization, asked.webhook))
            if connection.execute(found).first() is not None:
                raise Conflict("This webhook is there already.", hint="Change that one.")


def is_webhook(organization: str, key: str) -> ColumnElement[bool]:
    """A subscription is this webhook of an organization, and not deleted."""
    columns = _SUBSCRIPTION.c
    return and_(same(columns.organization, organization), same(columns.webhook, key), IS_WEBHOOK)


def _cursor_row(item: Making) -> dict[str, Any]:
    return {
        "number": item.number,
        "shard": shard_of(item.number),
        "cursor": item.start,
        "live": item.start == item.position and not item.asked.spec.pull_only,
    }


def _start(connection: Connection, spec: SubscriptionSpec) -> int | None:
    """Resolve ``start`` to the position behind which the stream begins; None: behind the fact that makes it."""
    match spec.config.start:
        case StartAt.NOW:
            return None
        case StartAt.BEGINNING:
            return 0
        case int(position):
            return position
        case moment:
            return position_before(connection, int(moment.timestamp() * _SECOND_US))
