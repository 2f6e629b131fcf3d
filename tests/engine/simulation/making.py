"""What a run is fed with: events, wishes and the subscriptions that say them."""

import random

from gateway.domain.filters import Filters, filters_from
from gateway.domain.subscription import Config, SubscriptionSpec
from gateway.ports import NewEntry
from schemas import build
from simulation.oracle import Wish
from simulation.sinks import ORGANIZATIONS, sink_url

TYPES = ("test.a", "test.b", "test.c")
AGENTS = ("agent-1", "agent-2")
FACTS = ("com.letta.gateway.subscription.paused", "com.letta.gateway.subscription.updated")
RETRIES: tuple[tuple[float, ...] | None, ...] = ((0.1, 0.5), (0.3, 2, 8), (1, 40), (50,), ())


def random_wish(dice: random.Random) -> Wish:
    kind = dice.choice(("all", "types", "agent", "prefix"))
    if kind == "types":
        return Wish(types=frozenset(dice.sample(TYPES, dice.randint(1, 2))))
    if kind == "agent":
        return Wish(agents=frozenset({dice.choice(AGENTS)}))
    return Wish(prefix="x") if kind == "prefix" else Wish()


def spec_of(number: int, wish: Wish, config: Config) -> SubscriptionSpec:
    filters: list[dict[str, object]] = []
    if wish.agents:
        filters.append({"any": [{"exact": {"partitionkey": agent}} for agent in sorted(wish.agents)]})
    if wish.prefix:
        filters.append({"prefix": {"id": wish.prefix}})
    return SubscriptionSpec(
        sink=sink_url(number),
        types=tuple(sorted(wish.types)),
        filters=filters_from(filters) if filters else Filters(),
        config=config,
    )


def event_of(index: int, type_: str, agent: str, dice: random.Random) -> NewEntry:
    organization = dice.choice(ORGANIZATIONS)
    attributes = {
        "specversion": "1.0",
        "id": dice.choice("xy") + str(index),
        "source": f"/agents/{agent}",
        "type": type_,
        "partitionkey": agent,
    }
    return NewEntry(
        type=type_,
        source=attributes["source"],
        id=attributes["id"],
        envelope=build(attributes, {"n": index}).raw,
        organization=organization,
        partition_key=agent,
    )
