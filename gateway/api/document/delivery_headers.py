"""The headers of a POST to a sink, described once for both documents (INTERFACE, "The POST a subscriber gets")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.deliver.request import BATCH, STRUCTURED, USER_AGENT

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """A header: its schema, and whether every POST has it."""

    schema: Schema
    always: bool


def _text(about: str, **more: object) -> Schema:
    return {"type": "string", "description": about, **more}


def own_headers(event_name: str | None = None) -> dict[str, Header]:
    """What the gateway adds to each POST, in whatever mode.

    Args:
        event_name: The only value of `X-Letta-Event`; None for any.
    """
    about = "The event's short name; a foreign event's full type; `batch` for a batch."
    name = _text(about) if event_name is None else _text(about, const=event_name)
    return {
        "User-Agent": Header(_text("Who sends.", const=USER_AGENT), always=True),
        "X-Letta-Event": Header(name, always=True),
        "X-Letta-Delivery": Header(_DELIVERY, always=True),
        "webhook-id": Header(_text(f"Standard Webhooks: {_SAME}", pattern="^[A-Za-z0-9_]+$"), always=True),
        "webhook-timestamp": Header(
            _text("Standard Webhooks: when this attempt was signed, seconds.", pattern="^[0-9]+$"),
            always=True,
        ),
        "webhook-signature": Header(_SIGNATURE, always=True),
        "X-Letta-Signature": Header(_text(_HMAC, pattern="^sha256=[0-9a-f]{64}$"), always=True),
        "X-Letta-Signature-Next": Header(
            _text("During a rotation: the same with the new secret.", pattern="^sha256=[0-9a-f]{64}$"),
            always=False,
        ),
        "traceparent": Header(
            _text(
                "W3C: this attempt's span, in the trace of the event.",
                pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
            ),
            always=True,
        ),
        "tracestate": Header(_text("W3C: as the event has it."), always=False),
        "X-Letta-Replay": Header(_text("There where the POST belongs to a replay.", const="1"), always=False),
        "X-Letta-Test": Header(_text("There where somebody asked for a test.", const="1"), always=False),
        "WebHook-Request-Origin": Header(
            _text("Who sends, by a DNS name, once the sink has agreed in a handshake."), always=False
        ),
        "Authorization": Header(
            _text("`Bearer` and the subscription's token, where it has a credential."), always=False
        ),
    }


_SAME: Final = "the id of the delivery, the same on every attempt and replay; drop what comes twice by it."
_DELIVERY: Final = _text("The same as `webhook-id`.", pattern="^[A-Za-z0-9_]+$")
_SIGNATURE: Final = _text(
    "Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; several, separated by a space, "
    "while a secret is replaced; `v1a,` for Ed25519, where asked for."
)
_HMAC: Final = "`sha256=` and the hex HMAC-SHA256 of the raw body, keyed with the secret's bytes as shown."

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "structured": STRUCTURED,
    "batch": BATCH,
}
"""What structured and batched requests are sent as, exactly; binary ones have the event's own."""
