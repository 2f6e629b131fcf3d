"""Out of quarantine: judged again as what comes by the stream is, appended at the end, or kept with the new reasons."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.errors import Conflict, FieldError, GatewayError, StillQuarantined
from gateway.ingest.batcher import Batcher
from gateway.ingest.door import Door, Reason
from gateway.ingest.stream import StreamEntry, StreamIngest
from gateway.ports import Appended, Quarantine, QuarantineRecord, QuarantineState

_LOGGER = logging.getLogger(__name__)
_DETAIL_CHARS_MAX = 500


class Redriver:
    """Takes entries of the quarantine through the door once more (S7b)."""

    def __init__(self, door: Door, batcher: Batcher, quarantine: Quarantine) -> None:
        self._judge = StreamIngest(door, batcher, stream="").judge
        self._quarantine = quarantine

    async def redrive(self, record: QuarantineRecord) -> Appended:
        """Append it if it can be admitted now; one that was appended before answers with where that is.

        Raises ``StillQuarantined`` where it cannot, ``Conflict`` where it is not there to be taken, and ``NotFound``
        where it was discarded meanwhile.
        """
        if record.position is not None:
            return Appended(record.position, duplicate=True)
        if record.state != QuarantineState.OPEN:
            raise Conflict(f"What came in is {record.state}.", hint="There is nothing left to take.")
        payload = record.payload or b""
        judged = self._judge([StreamEntry(record.entry_id, payload, payload)])
        for refused in judged.quarantine:
            raise await self._kept(record, refused.reason, refused.problems)
        [entry] = judged.entries
        try:
            return await self._quarantine.redrive(record.id, replace(entry, redriven_from=record.id))
        except GatewayError:
            raise
        except Exception as error:
            _LOGGER.exception("what was in quarantine as %s was not stored", record.id)
            detail = f"the log does not take it: {type(error).__name__}: {error}"[:_DETAIL_CHARS_MAX]
            problems = [{"pointer": "", "detail": detail}]
            raise await self._kept(record, Reason.NOT_STORED.value, problems) from error

    async def _kept(
        self, record: QuarantineRecord, reason: str, problems: Sequence[Mapping[str, str]]
    ) -> StillQuarantined:
        """Note why it stays, and say so."""
        await self._quarantine.keep(record.id, reason, problems)
        fields = [FieldError(problem["pointer"], problem["detail"]) for problem in problems]
        return StillQuarantined(f"It cannot be taken into the log: {reason}.", fields=fields)
