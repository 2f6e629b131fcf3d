"""Which rows there are, and the order of a run: all in turns, round by round, so that pairs are near in time."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from paired.environments import NotInstalledError
from paired.figures import Figures
from paired.rows import ceiling, emit, gateway, growth, hostile, log
from paired.rows.peers import PEERS_MEASURED
from paired.run import Run
from paired.strangers import watch

Measure = Callable[[Run], Figures | list[dict[str, float]]]
"""One measurement, or all at once where the preparation is long and the row takes its own turns."""


@dataclass(frozen=True)
class Row:
    """One thing that is measured."""

    name: str
    title: str
    measure: Measure
    how: str = ""

    @property
    def told(self) -> str:
        """What was done, in a sentence for the report: the measuring function's own, unless another is given."""
        return self.how or " ".join((self.measure.__doc__ or "").split())


ROWS: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row("wrk", "wrk → receiver", ceiling.receiver_under_wrk),
        Row("sender", "bare sender", ceiling.sender_alone),
        Row("gateway", "letta-gateway", gateway.end_to_end),
        Row("interpreted", "letta-gateway, from its sources", gateway.interpreted),
        *(Row(peer.name, peer.title, peer, peer.how) for peer in PEERS_MEASURED),
        Row("log", "ingest, and catch-up", log.ingest_and_catch_up),
        Row("fan-out", "fan-out", gateway.fan_out),
        Row("hostile", "a healthy sink beside hostile ones", hostile.healthy_beside_hostile),
        Row("emit", "emit", emit.emit),
        Row("growth", "growth of the log", growth.growth),
    )
}
LONG = ("growth",)
"""Rows that take minutes, and are measured where they are asked for."""
GATEWAY = "gateway"
INTERPRETED = "interpreted"
PEERS = tuple(peer.name for peer in PEERS_MEASURED)
PYTHON_PEERS = tuple(peer.name for peer in PEERS_MEASURED if peer.python)


@dataclass
class Measured:
    """What a run gave: figures by row and round, why a row is missing, and what share others had of the machine."""

    figures: dict[str, dict[int, Figures]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    failed: bool = False


def measure(run: Run, names: Sequence[str]) -> Measured:
    """Measure the rows in turns. A row that fails is left out from there on, with the reason."""
    measured = Measured()
    for number in range(run.rounds):
        for name in names:
            if name not in measured.left_out and not (name in LONG and number):
                _measure(run, name, number, measured)
    return measured


def _measure(run: Run, name: str, number: int, measured: Measured) -> None:
    others = watch(run.receiver.cpu_s)
    try:
        found = ROWS[name].measure(run)
    except NotInstalledError as error:
        measured.left_out[name] = str(error)
    except Exception as error:
        traceback.print_exc()
        measured.failed = True
        first = (str(error) or type(error).__name__).splitlines()[0]
        measured.left_out[name] = f"It failed in round {number + 1}: {first}"
    else:
        measured.others.append(others())
        figures = dict(enumerate(found)) if isinstance(found, list) else {number: found}
        measured.figures.setdefault(name, {}).update(figures)
        print(f"others took {measured.others[-1]:.0%} of the machine meanwhile", file=sys.stderr)
        for values in figures.values():
            shown = ", ".join(f"{key} {value:,.1f}" for key, value in values.items())
            print(f"round {number + 1} of {run.rounds}: {name}: {shown}", file=sys.stderr, flush=True)
