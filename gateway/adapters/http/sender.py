"""The sender that the delivery flow posts with."""

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.guard import vet
from gateway.adapters.http.headers import block_from_text
from gateway.adapters.http.transport import EgressTransport
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind, SinkRefused


class EgressSender:
    """Posts events to sinks through an `EgressTransport`, and judges a sink when it is named."""

    def __init__(self, transport: EgressTransport) -> None:
        self._transport = transport

    def send(self, request: OutboundRequest) -> Coroutine[Any, Any, Answer]:
        """One attempt, whole: to be awaited at once.

        Raises:
            SendError: There is no status. Never another error.
        """
        try:
            target = self._transport.target(request.url, privileged=request.privileged)
        except SinkRefused as refused:
            raise SendError(SendErrorKind.REFUSED, str(refused), rule=refused.rule) from None
        return self._transport.exchange(
            request.method,
            target,
            block_from_text(request.headers),
            request.body,
            deadline_s=request.timeout_s,
            privileged=request.privileged,
            capture_bytes=request.capture_bytes,
        )

    def begin(self, request: OutboundRequest, told: Callable[[], object]) -> Exchange | None:
        """See ``PromptSender.begin``."""
        try:
            target = self._transport.target(request.url, privileged=request.privileged)
            block = block_from_text(request.headers)
        except (SinkRefused, SendError):
            return None  # `send` says why
        return self._transport.begin(
            target,
            block,
            request.body,
            deadline_s=request.timeout_s,
            privileged=request.privileged,
            capture_bytes=request.capture_bytes,
            told=told,
        )

    async def admit(self, url: str, *, privileged: bool) -> None:
        """Judge a sink when a subscription is made. A name that does not resolve now is accepted.

        Raises:
            SinkRefused: The URL, or an address that its name has now, is not allowed.
        """
        transport = self._transport
        target = transport.target(url, privileged=privileged)
        try:
            addresses = target.addresses or await transport.resolver.resolve(
                target.host, timeout_s=transport.limits.connect_s
            )
        except SendError:
            return
        looked_up = not target.addresses
        vet(addresses, target.port, transport.policy, privileged=privileged, looked_up=looked_up)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()
