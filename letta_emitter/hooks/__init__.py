"""Hooks on an unmodified Letta server: `install()` attaches them, `check()` says which of them can hold.

Importing this package imports neither Letta nor anything heavy.
"""

from letta_emitter.hooks.patching import HookCheck, check, install

__all__ = ["HookCheck", "check", "install"]
