"""Links to the data of one delivery, for a subscription that wants events without their data (SEMANTICS S11d).

A link is signed by the server's key, so it cannot be guessed, and it is the same on every attempt: the body that
carries it is the same bytes, and so is its signature.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PATH: Final = "/payloads/"
AGE_S_MAX: Final = 30 * 24 * 3600
"""How long a link lives after the last attempt that carried it, seconds."""

_PURPOSE: Final = b"letta-gateway payload link 1"
_SIGNATURE_CHARS_MAX: Final = 64


class PayloadLinks:
    """Makes and checks links under ``public_url``. The first key signs, each of them is accepted.

    Raises ValueError where there is no key.
    """

    __slots__ = ("_base", "_keys")

    def __init__(self, public_url: str, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("links take at least one key")
        self._base = public_url.rstrip("/") + PATH
        # A key of their own: what they sign must never pass for anything else that the server's key makes.
        self._keys = tuple(hmac.digest(key, _PURPOSE, hashlib.sha256) for key in keys)

    def __repr__(self) -> str:
        return f"PayloadLinks({self._base})"

    def url(self, delivery_id: str) -> str:
        """The `dataref` of a delivery."""
        return f"{self._base}{delivery_id}?sig={_signature(self._keys[0], delivery_id)}"

    def accepts(self, delivery_id: str, signature: str) -> bool:
        """Whether a signature is one of ours for this delivery, in constant time."""
        given = signature[:_SIGNATURE_CHARS_MAX].encode("utf-8", "replace")
        text = delivery_id.encode("utf-8", "replace").decode()
        fits = [hmac.compare_digest(_signature(key, text).encode(), given) for key in self._keys]
        return any(fits)


def _signature(key: bytes, delivery_id: str) -> str:
    digest = hmac.digest(key, delivery_id.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
