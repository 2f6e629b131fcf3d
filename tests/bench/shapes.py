"""What the router's index costs an event, by what sets very many subscriptions apart: `just bench shapes`.

Each shape is measured in an index of its own: three subscriptions that match, alone and among so many others of
that shape that do not. Times are processor time of finding the three, in microseconds, of the best of a few rounds.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

from gateway.domain.filters import Selector, filters_from
from gateway.domain.routing import RoutingIndex

TYPE = "com.letta.agent.step.completed"
ORGANIZATION = "org-1"
RATIO_MAX = 3.0
EVENTS, ROUNDS = 100, 5
LINEAR = "not this type, and not another subject"


def agent(number: int) -> str:
    return f"agent-{number:08d}-2222-4333-8444-555555555555"


def source(number: int) -> str:
    return f"https://letta/organizations/org-{number % 100}/agents/{agent(number)}"


def select(*filters: object, types: tuple[str, ...] = (TYPE,), **members: str) -> Selector:
    return Selector(filters=filters_from(list(filters)), types=types, **members)


SHAPES: dict[str, Callable[[int], Selector]] = {
    "another agent": lambda i: select({"exact": {"partitionkey": agent(i)}}),
    "another source": lambda i: select(source=source(i)),
    "another beginning of the source": lambda i: select({"prefix": {"source": source(i)}}),
    "another end of the source": lambda i: select({"suffix": {"source": agent(i)}}),
    "another organization, all types": lambda i: select(types=(), organization=f"org-x{i}"),
    "another type": lambda i: select(types=(f"com.example.kind-{i}",)),
    "another agent or another source": lambda i: select(
        {"any": [{"exact": {"partitionkey": agent(i)}}, {"exact": {"source": source(i)}}]}
    ),
    "not not another agent": lambda i: select({"not": {"not": {"exact": {"partitionkey": agent(i)}}}}),
    "the same agent, another subject": lambda i: select(
        {"exact": {"partitionkey": agent(0), "subject": f"step-x{i}"}}
    ),
    "another attribute": lambda i: select({"exact": {f"x{i}": "1"}}),
    "the same thing not wanted": lambda _: select({"not": {"exact": {"type": TYPE}}}, types=()),
    LINEAR: lambda i: select({"not": {"exact": {"type": TYPE}}}, {"not": {"exact": {"subject": f"x{i}"}}}),
}


def event(number: int) -> Mapping[str, str | int | bool]:
    return {
        "specversion": "1.0",
        "id": f"evt_{number}",
        "source": source(0),
        "type": TYPE,
        "subject": f"step-{number}",
        "time": "2026-01-01T12:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": agent(0),
        "correlationid": "run-1",
        "sequence": f"{number:020d}",
    }


def index_of(shape: Callable[[int], Selector], others: int) -> tuple[RoutingIndex, float]:
    """An index of three that match and those others, and what putting one of them in took."""
    index = RoutingIndex()
    begin = time.process_time()
    for number in range(1, others + 1):
        index.put(number, shape(number))
    taken = time.process_time() - begin
    for number in range(3):
        index.put(others + 1 + number, select(organization=ORGANIZATION))
    return index, taken / max(others, 1) * 1e6


def find_us(index: RoutingIndex, events: int) -> float:
    def once() -> float:
        begin = time.process_time()
        for number in range(events):
            found = sum(1 for _ in index.matching(event(number), ORGANIZATION))
            assert found == 3, found
        return (time.process_time() - begin) / events * 1e6

    return min(once() for _ in itertools.repeat(None, ROUNDS))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for name, shape in SHAPES.items():
        alone, _ = index_of(shape, 0)
        many, put_us = index_of(shape, options.subscriptions)
        few_us = find_us(alone, EVENTS)
        many_us = find_us(many, EVENTS if name != LINEAR else 2)
        rows.append((name, put_us, few_us, many_us, many_us / few_us))
    good = all(row[-1] <= RATIO_MAX for row in rows if row[0] != LINEAR)
    if options.json:
        print(json.dumps({"rows": rows, "subscriptions": options.subscriptions, "good": good}))
    else:
        table = Table(title=f"{options.subscriptions:,} subscriptions beside three that match")
        for column in ("the others want", "put µs", "three alone µs", "among them µs", "ratio"):
            table.add_column(column, justify="left" if column == "the others want" else "right")
        for name, *figures in rows:
            table.add_row(name, *(f"{figure:,.1f}" for figure in figures))
        Console().print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
