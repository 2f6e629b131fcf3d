"""The emitter: what a Letta server does, as events, into a spool on its host and from there into a Redis Stream.

    from letta_emitter import get_emitter
    get_emitter().emit(event)

or, for people with a fork of Letta who prefer one explicit line, `WebhookManager.publish_event`. Names are
looked up on first use: importing this package alone costs next to nothing, which matters in the
interpreters that Letta starts for tools.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # 'typing' itself costs more than all of this
    from letta_emitter.emitter import Emitter, get_emitter
    from letta_emitter.errors import EmitterError, NotDeliveredError, SettingsError
    from letta_emitter.manager import WebhookManager
    from letta_emitter.once import emit_once
    from letta_emitter.settings import EmitterSettings

__all__ = [
    "Emitter",
    "EmitterError",
    "EmitterSettings",
    "NotDeliveredError",
    "SettingsError",
    "WebhookManager",
    "emit_once",
    "get_emitter",
]

_HOMES = {
    "Emitter": "emitter",
    "EmitterError": "errors",
    "EmitterSettings": "settings",
    "NotDeliveredError": "errors",
    "SettingsError": "errors",
    "WebhookManager": "manager",
    "emit_once": "once",
    "get_emitter": "emitter",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 (not needed by the start-up)

    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
