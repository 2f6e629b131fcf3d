"""An entry of the log as the API shows it, with the envelope as received, byte for byte."""

import json

from gateway.domain.facts import rfc3339
from gateway.ports import Entry, EventPage


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


def page_json(page: EventPage, next_cursor: str | None) -> bytes:
    """A page of entries; ``archived_until`` is there where a part of it was archived, and says up to where (S8)."""
    rest: dict[str, object] = {"next": next_cursor}
    if page.archived_until is not None:
        rest["archived_until"] = {
            "position": page.archived_until.position,
            "appended_at": rfc3339(page.archived_until.appended_at_us),
        }
    items = b", ".join(item_json(entry) for entry in page.entries)
    return b'{"items": [' + items + b"], " + json.dumps(rest).encode()[1:]
