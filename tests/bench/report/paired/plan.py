"""Which rows there are, and the order of a run: all in turns, round by round, so that pairs are near in time."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from paired.environments import NotInstalledError
from paired.figures import Figures
from paired.rows import ceiling, gateway
from paired.rows.peers import PEERS_MEASURED
from paired.run import Run

Measure = Callable[[Run], Figures]


@dataclass(frozen=True)
class Row:
    """One thing that is measured; `once` for what is not compared with anything."""

    name: str
    title: str
    how: str
    measure: Measure


def _how(measure: Measure) -> str:
    return " ".join((measure.__doc__ or "").split())


ROWS: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row("wrk", "wrk → receiver", _how(ceiling.receiver_under_wrk), ceiling.receiver_under_wrk),
        Row("sender", "bare sender", _how(ceiling.sender_alone), ceiling.sender_alone),
        Row("gateway", "letta-gateway", _how(gateway.end_to_end), gateway.end_to_end),
        *(Row(peer.name, peer.title, peer.how, peer) for peer in PEERS_MEASURED),
    )
}
GATEWAY = "gateway"
PEERS = tuple(peer.name for peer in PEERS_MEASURED)


@dataclass
class Measured:
    """What a run gave: figures by row and round, and why a row is missing."""

    figures: dict[str, dict[int, Figures]]
    left_out: dict[str, str]


def measure(run: Run, names: Sequence[str]) -> Measured:
    """Measure the rows in turns. A row that fails is left out from there on, with the reason."""
    measured = Measured({}, {})
    for number in range(run.rounds):
        for name in names:
            if name in measured.left_out:
                continue
            try:
                figures = dict(ROWS[name].measure(run))
            except NotInstalledError as error:
                measured.left_out[name] = str(error)
            except Exception as error:
                traceback.print_exc()
                first = (str(error) or type(error).__name__).splitlines()[0]
                measured.left_out[name] = f"It failed in round {number + 1}: {first}"
            else:
                measured.figures.setdefault(name, {})[number] = figures
                shown = ", ".join(f"{key} {value:,.1f}" for key, value in figures.items())
                print(f"round {number + 1} of {run.rounds}: {name}: {shown}", file=sys.stderr)
    return measured
