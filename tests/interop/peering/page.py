# ruff: noqa: E501, RUF001 - the lines and dashes of a page
"""The page `docs/interoperability.md`, made from what the tests expect, so that it cannot say anything else.

    python tests/interop/peering/page.py docs

writes it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peering.cases import WHAT
from peering.expected import LIMITS, Limit, limits_of
from peering.receivers import OTHERS, RECEIVERS, XRCG, Peer

PAGE = "interoperability.md"

_HEAD = """\
# Interoperability

Made by `tests/interop/peering/page.py` from what the tests expect; do not edit.

`just test-interop` installs the programs below at the versions named, unmodified, each Python one in an environment of its own, and starts
them. A real gateway delivers to the receivers, and what each of them understood is compared with what was published: every attribute and extension,
and the data. Others publish to it, or verify its signatures.

## Receivers
"""

_BELOW = """\
✓ is understood whole; ✓ with a number, but for what the note says; ✗ is not understood, for the reason in the note. The events:
"""

_REST = """\
## What it takes

| receiver | note |
| --- | --- |
| any that verifies | The signature is over the raw body: keep it before a framework parses it (`express.raw`, `await request.body()`). |
| Dapr | The gateway posts to the route that `DaprApp.subscribe` makes, where the sidecar would; none is needed. A sidecar posts structured events, so \
subscribe with the format `structured`: the handler's `Body()` is then the whole event. The extension has no parser of its own; in binary mode the \
handler finds the data in `Body()` and the attributes in the headers, which is what is tested. Without the sidecar there is no retry or dead letter topic of \
Dapr's: the gateway's are used, and of what the handler answers only the HTTP status counts, so answer 503 rather than `{{"status": "RETRY"}}`. |
| batches | Of these only the JavaScript SDK reads them (`HTTP.toEvent` gives a list). |

## Senders

`POST /v1/events` answers them as it should in each mode: 202 with positions, 400 for what is malformed, 413 for what is too large, 415 for a format that it does
not know, 422 for data that breaks its contract.

| sender | binary | structured | batch |
| --- | --- | --- | --- |
| `cloudevents` {npm} (npm), `HTTP.binary`, `HTTP.structured` | ✓ | ✓ | ✓ ¹ |
| `cloudevents` {pypi} (PyPI), `to_binary_event`, `to_structured_event` | ✓ | ✓ | ✓ ² |
| curl | ✓ | ✓ | ✓ |

1. The SDK reads batches and has no function that writes them: a JSON list of its events, with the content type `application/cloudevents-batch+json`.
2. The SDK has none either way: `JSONFormat().write` gives each event as JSON, and brackets and commas make the batch of them.

## The registry's export

`xrcg` {xrcg} (PyPI), a code generator for xRegistry, validates `/registry/export`. Its schema of a document takes a collection
or the URL of it (`versions`, `versionsurl`), and an export has both: it is validated without those URLs.

## Signatures

Each verifies a real delivery, also while a secret is being replaced, when either secret is good, and refuses it once a byte is changed.

| verifier | `v1` | `v1a` (Ed25519) | `X-Letta-Signature` |
| --- | --- | --- | --- |
| {webhooks_npm} | ✓ | – | – |
| {webhooks_pypi} | ✓ | – | – |
| `schemas.signatures` (Python, this project's) | ✓ | ✓ | ✓ |
| the lines for Node in [quickstart.md](quickstart.md#you-have-a-url-and-want-to-be-told) | ✓ | ✓ | ✓ |
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    notes = _numbered()
    yield _HEAD
    yield f"| receiver | mode | {' | '.join(WHAT)} |"
    yield "| --- " * (len(WHAT) + 2) + "|"
    for name, peer in RECEIVERS.items():
        for mode in peer.modes:
            cells = " | ".join(_cell(name, mode, case, notes) for case in WHAT)
            yield f"| {_title(peer) if mode == peer.modes[0] else ''} | {mode} | {cells} |"
    yield ""
    yield _BELOW
    yield from (f"- {case}: {what}" for case, what in WHAT.items())
    yield ""
    yield from (f"{number}. {limit.why}" for limit, number in notes)
    yield ""
    webhooks = {package.registry: package for package in OTHERS}
    yield _REST.format(
        npm=RECEIVERS["express"].packages[0].version,
        pypi=RECEIVERS["python-sdk"].packages[0].version,
        xrcg=XRCG.version,
        webhooks_npm=webhooks["npm"],
        webhooks_pypi=webhooks["PyPI"],
    )


def _numbered() -> list[tuple[Limit, int]]:
    return [(limit, number) for number, limit in enumerate(LIMITS, 1)]


def _cell(name: str, mode: str, case: str, notes: list[tuple[Limit, int]]) -> str:
    limits = limits_of(name, mode, case)
    refused = [limit for limit in limits if limit.refused is not None]
    shown = refused or limits
    numbers = [str(number) for limit, number in notes if limit in shown]
    return " ".join(["✗" if refused else "✓", ", ".join(numbers)]).strip()


def _title(peer: Peer) -> str:
    return f"{peer.title}: {', '.join(map(str, peer.packages))}"


if __name__ == "__main__":
    (Path(sys.argv[1]) / PAGE).write_text(page(), encoding="utf-8")
