"""Following a stream of the gateway for as long as it takes: it outlives restarts, and repeats nothing."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.client import GatewayClient
from gateway.cli.output import say
from gateway.cli.sse import ServerEvent
from gateway.errors import NoServer, NotNow

WAIT_S = 0.5
WAIT_S_MAX = 5.0


def follow(
    client: GatewayClient, path: str, *, params: Mapping[str, Any], after: int | None
) -> Iterator[ServerEvent]:
    """Yield what the stream has behind a position, as it comes, bare ids too; never ends by itself.

    Without a position it begins where the gateway says. A gateway that does not answer is asked again, ever more
    slowly, but it must answer the first time: else raises ``NoServer`` or ``AnswerError``.
    """
    last_id = "" if after is None else str(after)
    wait_s, answered = WAIT_S, False
    while True:
        try:
            with client.events(path, params=params, last_id=last_id) as events:
                answered = True
                for event in events:
                    last_id, wait_s = event.id, WAIT_S
                    yield event
        except (NoServer, NotNow) as error:
            if not answered:
                raise
            say(f"{error.detail} Trying again.")
            wait_s = min(2 * wait_s, WAIT_S_MAX)
        # It ended in good order, as every stream does after a while, or it broke off: on from there.
        time.sleep(wait_s)
