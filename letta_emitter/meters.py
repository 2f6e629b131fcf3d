"""The emitter's counters for Letta's own metrics, where Letta exports any; otherwise `letta-emitter doctor` has them.

Each server process tells of itself; how large the spool is, the one that publishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from letta_emitter.folder import Folder
from letta_emitter.stats import LOST, Stats
from otel.metrics_offered import Offer, provider_here

if TYPE_CHECKING:
    from letta_emitter.emitter import Emitter

_SCOPE: Final = "letta_emitter"
_HOLDER: Final = "drain"


def offer_to_letta(emitter: Emitter) -> bool:
    """Offer them, if Letta has set up a meter provider. Says whether it has."""
    provider = provider_here()
    if provider is None or emitter.settings is None:
        return False
    offered = Offer(provider, _SCOPE, version("letta-gateway"))
    offer(offered, emitter.stats, Folder(emitter.settings.spool_dir))
    return True


def offer(offered: Offer, stats: Stats, folder: Folder) -> None:
    """Offer the counters of one process."""

    def counted(name: str) -> Mapping[str, int]:
        return {"": stats.get(name)}

    def lost() -> Mapping[str, int]:
        return {reason: stats.get(reason) for reason in LOST}

    def spooled() -> Mapping[str, int]:
        return {"": folder.size_bytes()} if stats.role == _HOLDER else {}

    offered.counter(
        "letta_emitter.events.emitted",
        "Events that the spool took.",
        lambda: counted("emitted"),
        unit="{event}",
    )
    offered.counter(
        "letta_emitter.events.published",
        "Events that Redis took.",
        lambda: counted("published"),
        unit="{event}",
    )
    offered.counter(
        "letta_emitter.events.lost",
        "Events that never reach Redis.",
        lost,
        attribute="reason",
        unit="{event}",
    )
    offered.gauge(
        "letta_emitter.spool.size",
        "What the spool takes on disk, what is published for a minute included.",
        spooled,
        unit="By",
    )
