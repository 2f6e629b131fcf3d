"""`Idempotency-Key` on a creation (draft-ietf-httpapi-idempotency-key-header-06): asked twice, made once.

What was answered is kept for a day, sealed, and answered again to the same token for the same body: a client whose
connection broke before it saw the secret gets it. What failed is not remembered: it made nothing.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.lowlevel
from fastapi import Request
from fastapi.responses import JSONResponse

from gateway.domain.api_tokens import Principal
from gateway.domain.idempotency import KEPT_US, MalformedKey, fingerprint, parse_key, remembered_as
from gateway.errors import (
    Conflict,
    FieldError,
    GatewayError,
    Gone,
    KeyReused,
    RequestError,
)
from gateway.ports import IdempotencyKeys, Now

HEADER: Final = "Idempotency-Key"
_FORGET_S: Final = 60.0
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a creation was answered with."""

    body: dict[str, Any]
    headers: dict[str, str]

    def response(self) -> JSONResponse:
        """As it is sent, the first time and every other."""
        return JSONResponse(self.body, status_code=201, headers=self.headers)


class Idempotency:
    """Which keys are being served just now, and what was answered to those that were."""

    def __init__(self, keys: IdempotencyKeys, *, now: Now) -> None:
        self._keys = keys
        self._now = now
        self._serving: set[bytes] = set()

    @contextmanager
    def serving(self, key: bytes) -> Iterator[None]:
        """Serve one request of a key at a time. Raises ``Conflict``: two at once are not told apart from one."""
        if key in self._serving:
            raise Conflict(
                f"A request with this {HEADER} is being served.", hint="Wait for its answer.", retry_after_s=1
            )
        self._serving.add(key)
        try:
            yield
        finally:
            self._serving.discard(key)

    async def answered(self, key: bytes, body: object) -> Answer | None:
        """What was answered to this key and body before; None: it is new.

        Raises ``KeyReused`` where it was for another body, ``Gone`` where what it made is deleted.
        """
        found = await self._keys.find(key)
        if found is None:
            return None
        if found.answer is None:
            raise Gone(f"What was made with this {HEADER} has been deleted.", hint="Use another key.")
        kept = json.loads(found.answer)
        if kept["fingerprint"] != fingerprint(body):
            raise KeyReused(f"This {HEADER} was used for another body.")
        return Answer(kept["body"], kept["headers"])

    def until_us(self) -> int:
        """When what is answered now is forgotten."""
        return self._now() + KEPT_US

    async def run(self) -> None:
        """Forget what has passed its time, until cancelled."""
        while True:
            try:
                while await self._keys.forget():
                    await anyio.lowlevel.checkpoint()
            except GatewayError as error:
                _LOGGER.warning("what was answered a day ago is kept for longer: %s", error)
            await anyio.sleep(_FORGET_S)


def kept(answer: Answer, body: object) -> bytes:
    """An answer as it is stored, with what it is known again by."""
    document = {"fingerprint": fingerprint(body), "headers": answer.headers, "body": answer.body}
    return json.dumps(document).encode()


def key_of(request: Request, caller: Principal) -> bytes | None:
    """The key that a request carries, as it is kept; None: it carries none. Raises ``RequestError`` (400)."""
    try:
        key = parse_key(request.headers.getlist(HEADER))
    except MalformedKey as error:
        fields = [FieldError(HEADER, str(error))]
        raise RequestError(f"The header {HEADER} is not a key.", fields=fields) from None
    operation = f"{request.method} {request.url.path}"
    return None if key is None else remembered_as(caller, operation, key)
