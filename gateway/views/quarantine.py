"""The quarantine as the API shows it: what came, from where, and what was wrong with it."""

import base64
from typing import Any

from gateway.domain.facts import rfc3339
from gateway.ports import QuarantineRecord


def quarantine_json(record: QuarantineRecord) -> dict[str, Any]:
    """A record, with what came in where it was read: as text where it is text."""
    shown: dict[str, Any] = {
        "id": record.id,
        "received_at": rfc3339(record.received_at_us),
        "origin": record.origin,
        "entry_id": record.entry_id,
        "organization": record.organization,
        "reason": record.reason,
        "errors": list(record.problems),
        "size_bytes": record.size_bytes,
        "state": record.state,
        "position": record.position,
    }
    if record.payload is not None:
        try:
            shown["payload"] = record.payload.decode()
        except UnicodeDecodeError:
            shown["payload_base64"] = base64.b64encode(record.payload).decode()
    return shown
