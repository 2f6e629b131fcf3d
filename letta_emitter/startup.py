"""The guarded start-up: imported where `LETTA_EMITTER_ENABLED` is set, in every Python of a server.

Most of these are not the server (pip, a tool in Letta's sandbox), so all that happens at once is to wait
for `letta` to be imported. Then the hooks are attached, and when the server's API comes up, the drain is
started, which publishes what an earlier process left in the spool. Nothing here raises.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # 'typing' and 'logging' cost more than all that is done here
    from types import ModuleType

_SERVER = "letta.server.rest_api.app"
_TOLD = "_LETTA_EMITTER_START_FAILED"
"""Set once a failure was reported, so that the tools' processes do not repeat it on the stderr that Letta captures."""


_TOOL_PROCESS = "LETTA_TOOL_ID"
"""Set by Letta for a tool's process, whose stderr becomes part of the tool's result."""


class _Watch:
    """A finder that finds nothing: it is only told what is about to be imported."""

    done = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Attach the hooks when `letta` is about to be imported."""
        del path, target
        if name == "letta" and not self.done:
            self.done = True
            attach()


def watch() -> None:
    """Wait for Letta to be imported; if it is already, attach the hooks now."""
    if "letta" in sys.modules:
        attach()
    elif not any(type(finder).__name__ == "_Watch" for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


def attach() -> None:
    """Attach the hooks. A failure is reported once, and Letta goes on without events."""
    try:
        # Only here, where Letta is: these cost as much as starting Python does.
        import wrapt  # noqa: PLC0415

        from letta_emitter import hooks  # noqa: PLC0415

        hooks.install()
        wrapt.register_post_import_hook(_start_drain, _SERVER)
        if os.environ.get("LETTA_EMITTER_GATEWAY_URL") or os.environ.get("LETTA_EMITTER_GATEWAY_TOKEN"):
            wrapt.register_post_import_hook(_mount_routes, _SERVER)
    except Exception as error:  # noqa: BLE001 (nothing may keep Letta from starting)
        _report("the hooks could not be attached, no events are emitted", error)


def _start_drain(module: ModuleType) -> None:
    del module
    try:
        # Imported here and not by the drain's thread: two threads that import at once can see half a module.
        import letta_emitter.pump  # noqa: F401, PLC0415 (only in a server)
        from letta_emitter.emitter import get_emitter  # noqa: PLC0415 (likewise)

        emitter = get_emitter()
        emitter.start()
        if "opentelemetry.sdk.metrics" in sys.modules:  # Letta exports metrics, and has set them up by now
            from letta_emitter.meters import offer_to_letta  # noqa: PLC0415 (likewise)

            offer_to_letta(emitter)
    except Exception as error:  # noqa: BLE001 (nothing may keep Letta from starting)
        _report("the drain could not be started", error)


def _mount_routes(module: ModuleType) -> None:
    try:
        from letta_emitter.emitter import get_emitter  # noqa: PLC0415 (only in a server)
        from letta_emitter.routes.mounting import mount  # noqa: PLC0415 (likewise)

        stats = get_emitter().stats
        stats.routes = mount(module.app, stats.report)
    except Exception as error:  # noqa: BLE001 (nothing may keep Letta from starting)
        _report("there are no webhook routes on Letta's API", error)


def _report(what: str, error: Exception) -> None:
    if _TOLD not in os.environ and _TOOL_PROCESS not in os.environ:
        os.environ[_TOLD] = "1"
        import logging  # noqa: PLC0415 (rarely needed, and slow)

        logging.getLogger("letta_emitter").error(
            "letta-emitter: %s: %s: %s", what, type(error).__name__, error
        )


watch()
