"""What the hooks meet, as far as they ask: a model of Letta's, who acts, and a call that was watched."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from letta_emitter.hooks import detached
from letta_emitter.hooks.wrapping import Seen

ACTOR = SimpleNamespace(organization_id="org-1")


class Row(SimpleNamespace):
    """A model of Letta's, as far as the hooks ask."""

    def model_dump(self, **_: object) -> dict[str, Any]:
        return dict(vars(self))


def seen(instance: object, **arguments: object) -> Seen:
    return Seen(instance, {"actor": ACTOR, **arguments}, 0)


async def settled() -> None:
    """Wait until no look-up is under way."""
    while detached._tasks:
        await asyncio.sleep(0)
