"""Figures in Prometheus' text format 0.0.4. No organization and no subscription is named in them (S11f)."""

from collections.abc import Mapping
from typing import Final

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(
    checks: Mapping[str, bool], *, position: int | None, lag_events: int | None, streams: int
) -> str:
    """Every figure with what it says.

    Args:
        checks: Each thing the gateway needs, and whether it is there.
        position: The last position of the log; None: it cannot be read now.
        lag_events: Appended and not routed yet; None: this process does not route.
        streams: Open or waited for at this process.
    """
    families = (
        (
            "letta_gateway_ready",
            "Whether what the gateway needs is there, one by one.",
            [(f'{{check="{name}"}}', int(fine)) for name, fine in checks.items()],
        ),
        ("letta_gateway_log_position", "The last position of the log.", _one(position)),
        ("letta_gateway_routing_lag_events", "Appended and not routed yet.", _one(lag_events)),
        ("letta_gateway_streams_open", "Streams that are open or waited for.", _one(streams)),
    )
    lines: list[str] = []
    for name, meaning, samples in families:
        if samples:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [f"{name}{labels} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _one(value: int | None) -> list[tuple[str, int]]:
    return [] if value is None else [("", value)]
