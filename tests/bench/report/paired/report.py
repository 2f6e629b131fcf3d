"""The report as data: what is written as JSON and rendered as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from paired.figures import Figures, best_by_round, by_round, ratios, summaries, summary
from paired.plan import GATEWAY, INTERPRETED, PEERS, PYTHON_PEERS, ROWS, Measured
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
                "how": ROWS[name].told,
                "peer": name in PEERS,
                "figures": summaries(list(rounds.values())),
            }
            for name, rounds in measured.figures.items()
        },
        "gateway_divided_by": _gateway_ratios(measured),
        "goals": _goals(measured),
        "others_share_of_machine": summary(measured.others) if measured.others else None,
        "left_out": {
            name: {"title": ROWS[name].title, "why": why} for name, why in measured.left_out.items()
        },
    }


def _gateway_ratios(measured: Measured) -> dict[str, Any]:
    ours = _rate(measured, GATEWAY)
    found = {name: ratios(ours, _rate(measured, name)) for name in (INTERPRETED, *PEERS)}
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def _goals(measured: Measured) -> list[dict[str, Any]]:
    """What the project asks of itself, and what came out; only what was measured."""
    ours, sources = _rate(measured, GATEWAY), _rate(measured, INTERPRETED)
    python = best_by_round([_rate(measured, name) for name in PYTHON_PEERS])
    cpu = by_round(_of(measured, GATEWAY), "cpu_us")
    growth = by_round(_of(measured, "growth"), "cpu_ratio")
    beside = by_round(_of(measured, "hostile"), "of_what_is_allowed")
    goals = (
        (
            "deliveries per second, divided by BullMQ's",
            "at least 1.0",
            ratios(ours, _rate(measured, "bullmq")),
        ),
        ("the same, divided by the best measured Python peer's", "at least 2.5", ratios(ours, python)),
        ("the first one for the gateway from its sources", "-", ratios(sources, _rate(measured, "bullmq"))),
        ("CPU µs per delivery", "at most 120", summary(cpu.values()) if cpu else None),
        (
            "CPU per delivery with 1,000,000 events in the log, divided by that with 10,000",
            "at most 1.3",
            summary(growth.values()) if growth else None,
        ),
        (
            "p99 beside four hostile sinks, divided by the greater of twice that without them and 10 ms more",
            "at most 1.0",
            summary(beside.values()) if beside else None,
        ),
    )
    return [{"what": what, "asked": asked, "found": found} for what, asked, found in goals if found]


def _rate(measured: Measured, name: str) -> dict[int, float]:
    return by_round(_of(measured, name), DELIVERIES)


def _of(measured: Measured, name: str) -> Mapping[int, Figures]:
    return measured.figures.get(name, {})
