"""The keys of the vault as the API shows them: which can be thrown away, and which cannot yet."""

from collections.abc import Sequence
from typing import Any

from gateway.domain.facts import rfc3339
from gateway.domain.payload_links import AGE_S_MAX
from gateway.ports import KeyUse

_SECOND_US = 1_000_000


def keys_json(uses: Sequence[KeyUse], now_us: int) -> list[dict[str, Any]]:
    """Each key with what it is needed for: the first one for everything, another for what it sealed and signed."""
    return [_key_json(use, now_us) for use in uses]


def _key_json(use: KeyUse, now_us: int) -> dict[str, Any]:
    # Links to the data of thin deliveries are signed as well; they die so long after the key was replaced.
    until_us = None if use.replaced_at_us is None else use.replaced_at_us + AGE_S_MAX * _SECOND_US
    linked = until_us is not None and now_us < until_us
    return {
        "id": use.id,
        "first": use.replaced_at_us is None,
        "sealed": use.sealed,
        "links_until": rfc3339(until_us) if until_us is not None and linked else None,
        "needed": use.replaced_at_us is None or use.sealed > 0 or linked,
    }
