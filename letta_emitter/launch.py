"""`letta-emitter run -- letta server …`: start an unmodified command with the emitter attached."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from letta_emitter.errors import SettingsError
from letta_emitter.settings import PREFIX, EmitterSettings

BOOT = Path(__file__).parent / "boot"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment under which every Python attaches the emitter."""
    paths = [str(BOOT), environ.get("PYTHONPATH", "")]
    return dict(environ) | {
        PREFIX + "ENABLED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def run(command: list[str]) -> int:
    """Become the command: same process, so that signals and exit status are its own. Returns only if it cannot.

    A wrong setting is said here, but does not keep the command from starting.
    """
    env = environment(os.environ)
    try:
        EmitterSettings.from_env(env)
    except SettingsError as error:
        sys.stderr.write(f"letta-emitter: starting without events: {error}\n")
    program = shutil.which(command[0])
    if program is None:
        sys.stderr.write(f"letta-emitter: there is no program {command[0]!r} to run\n")
        return 2
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(program, command, env)  # noqa: S606 (this is what the command is for)
    except OSError as error:
        sys.stderr.write(f"letta-emitter: {command[0]} cannot be run: {error}\n")
        return 2
