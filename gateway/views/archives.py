"""Archives and archivings as the API shows them."""

from typing import Any

from gateway.domain.facts import rfc3339
from gateway.ports import ArchivePlan, ArchiveRecord, RunRecord


def archive_json(record: ArchiveRecord) -> dict[str, Any]:
    """One archive; its file is at ``/v1/archives/{first_position}/file``."""
    return {
        "first_position": record.first,
        "last_position": record.last,
        "state": record.state.value,
        "file": record.file,
        "size_bytes": record.size_bytes,
        "sha256": record.sha256,
        "events": record.events,
        "first_appended_at": rfc3339(record.first_at_us),
        "last_appended_at": rfc3339(record.last_at_us),
        "archived_at": rfc3339(record.archived_at_us),
    }


def run_json(record: RunRecord) -> dict[str, Any]:
    """One archiving: how far it is, or how it ended."""
    return {
        "id": record.id,
        "state": record.state.value,
        "until_position": record.until,
        "archived_until": record.cursor,
        "archives": record.archives,
        "events": record.events,
        "problem": record.problem,
        "requested_at": rfc3339(record.requested_at_us),
        "finished_at": None if record.finished_at_us is None else rfc3339(record.finished_at_us),
    }


def plan_json(plan: ArchivePlan) -> dict[str, Any]:
    """What would be archived, and who holds the rest."""
    return {
        "first_position": plan.first,
        "until_position": plan.until,
        "positions": plan.positions,
        "again": [{"first_position": first, "last_position": last} for first, last in plan.again],
        "held_by": [
            {"subscription": item.subscription, "position": item.position, "why": item.why}
            for item in plan.held_by
        ],
    }
