"""The report as data: what is written as JSON and rendered as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from paired.figures import by_round, ratios, summaries
from paired.plan import GATEWAY, PEERS, ROWS, Measured
from paired.run import Run

Report = dict[str, Any]
DELIVERIES = "deliveries_per_s"


def report(
    run: Run, measured: Measured, machine: Mapping[str, str], begun: datetime, ended: datetime
) -> Report:
    """Everything that was measured, summed up."""
    return {
        "made_at": begun.isoformat(timespec="seconds"),
        "took_s": round((ended - begun).total_seconds()),
        "machine": dict(machine),
        "parameters": {
            "events": run.events,
            "rounds": run.rounds,
            "body_bytes": run.body_bytes,
            "at_once": run.at_once,
        },
        "rows": {
            name: {
                "title": ROWS[name].title,
                "how": ROWS[name].how,
                "peer": name in PEERS,
                "figures": summaries(list(rounds.values())),
            }
            for name, rounds in measured.figures.items()
        },
        "gateway_divided_by": _gateway_ratios(measured),
        "left_out": {
            name: {"title": ROWS[name].title, "why": why} for name, why in measured.left_out.items()
        },
    }


def _gateway_ratios(measured: Measured) -> dict[str, Any]:
    ours = by_round(measured.figures.get(GATEWAY, {}), DELIVERIES)
    found = {name: ratios(ours, by_round(measured.figures.get(name, {}), DELIVERIES)) for name in PEERS}
    return {name: ratio for name, ratio in found.items() if ratio is not None}
