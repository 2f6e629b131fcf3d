"""An entry of the log as the API shows it, with the envelope as received, byte for byte."""

import json
from collections.abc import Sequence

from gateway.domain.facts import rfc3339
from gateway.ports import Entry


def item_json(entry: Entry) -> bytes:
    """``{position, appended_at, hash, event}``; ``event`` is null once its payload was erased (S8b).

    What came out of quarantine says from where: ``redriven_from`` (S7b); what was taken although it broke its contract
    says that: ``contract_broken``.
    """
    shown: dict[str, object] = {
        "position": entry.position,
        "appended_at": rfc3339(entry.appended_at_us),
        "hash": entry.row_hash.hex(),
    }
    if entry.redriven_from is not None:
        shown["redriven_from"] = entry.redriven_from
    if entry.contract_broken:
        shown["contract_broken"] = True
    head = json.dumps(shown).encode()
    return head[:-1] + b', "event": ' + (b"null" if entry.envelope is None else entry.envelope) + b"}"


def page_json(entries: Sequence[Entry], next_cursor: str | None) -> bytes:
    """A page of entries."""
    items = b", ".join(item_json(entry) for entry in entries)
    return b'{"items": [' + items + b'], "next": ' + json.dumps(next_cursor).encode() + b"}"
