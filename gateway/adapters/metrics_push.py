"""Pushes the figures of this process, as often as OpenTelemetry's variables say, beside everything else."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio
import anyio.to_thread

from otel.metrics import Family
from otel.metrics_setup import MetricsExport

LAST_S: Final = 2.0
"""How long the end of the process waits for the last push; what is not sent by then is lost, and nothing else is."""


class MetricsPush:
    """Looks at the figures and hands them to an exporter."""

    def __init__(
        self, export: MetricsExport | None, families: Callable[[], Awaitable[Sequence[Family]]]
    ) -> None:
        self._export = export
        self._families = families

    async def run(self) -> None:
        """Push until cancelled; without an exporter there is nothing to do."""
        export = self._export
        while export is not None:
            await anyio.sleep(export.interval_s)
            export.send(await self._families())

    async def aclose(self) -> None:
        """Push what has happened since, and let go."""
        export = self._export
        if export is None:
            return
        with anyio.CancelScope(shield=True):
            families: Sequence[Family] = ()
            with anyio.move_on_after(LAST_S):
                families = await self._families()
            await anyio.to_thread.run_sync(export.close, families, LAST_S)
