"""An erasure as the API shows it: how far it is, and how much there was; never whose (S8b)."""

from typing import Any

from gateway.domain.facts import rfc3339
from gateway.ports import ErasureRecord, ErasureState


def erasure_json(record: ErasureRecord) -> dict[str, Any]:
    """A record."""
    return {
        "id": record.id,
        "scope": record.scope.value,
        "state": _state(record),
        "until_position": record.until_position,
        "events": record.events,
        "attempts": record.attempts,
        "quarantined": record.quarantined,
        "archives": record.archives,
        "unreachable": [
            {"file": item.file, "why": item.why.value, "detail": item.detail} for item in record.unreachable
        ],
        "rewritten": record.rewritten,
        "requested_at": rfc3339(record.requested_at_us),
        "finished_at": None if record.finished_at_us is None else rfc3339(record.finished_at_us),
    }


def _state(record: ErasureRecord) -> str:
    """It runs until the storage has let go of what it still had; then it may have left out an archive."""
    if record.state is not ErasureState.FINISHED:
        return ErasureState.RUNNING.value
    return "incomplete" if record.unreachable else ErasureState.FINISHED.value
