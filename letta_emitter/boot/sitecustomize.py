# ruff: noqa: INP001 (a folder for PYTHONPATH, not a package)
"""Put on `PYTHONPATH` by `letta-emitter run`, so that the emitter attaches where no start-up file is installed.

Python runs one module of this name; so the one that this hides, if any, is run from here.
"""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_HOME = _HERE.parent.parent


def _run_hidden() -> None:
    """Run the `sitecustomize` that would have run without us, with whatever it raises."""
    others = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _attach() -> None:
    if os.environ.get("LETTA_EMITTER_ENABLED", "").strip().lower() not in {"1", "true", "yes", "on"}:
        return
    try:
        # A source tree is not on this Python's path. Last, so that nothing of Letta's is hidden by it;
        # another environment's site-packages are left alone: they would mix two sets of dependencies.
        if importlib.util.find_spec("letta_emitter") is None and _HOME.name not in {
            "site-packages",
            "dist-packages",
        }:
            sys.path.append(str(_HOME))
        import letta_emitter.startup  # noqa: F401, PLC0415
    except Exception as error:  # noqa: BLE001 (Letta must start)
        if "_LETTA_EMITTER_START_FAILED" not in os.environ:
            os.environ["_LETTA_EMITTER_START_FAILED"] = "1"
            sys.stderr.write(
                f"letta-emitter: not attached: {error}; "
                f"install letta-gateway in the environment of {sys.executable}\n"
            )


_attach()
_run_hidden()
