# ruff: noqa: INP001, PTH119, PTH120 (a folder, not a package; 'pathlib' is slow to import, and every Python runs this)
"""Put on `PYTHONPATH` by `letta-emitter run`, so that the emitter attaches where no start-up file is installed.

Python runs one module of this name; so the one that this hides, if any, is run from here.
"""

import os
import sys
from importlib.machinery import PathFinder

_HERE = os.path.dirname(os.path.realpath(__file__))
_HOME = os.path.dirname(os.path.dirname(_HERE))


def _attach() -> None:
    if os.environ.get("LETTA_EMITTER_ENABLED", "").strip().lower() not in {"1", "true", "yes", "on"}:
        return
    try:
        # A source tree is not on this Python's path. It comes last, so that nothing of Letta's is hidden by it. Another
        # environment's packages are left alone: they would mix two sets of dependencies.
        foreign = os.path.basename(_HOME) in {"site-packages", "dist-packages"}
        if not foreign and PathFinder.find_spec("letta_emitter") is None:
            sys.path.append(_HOME)
        import letta_emitter.startup  # noqa: F401, PLC0415
    except Exception as error:  # noqa: BLE001 (Letta must start)
        if "_LETTA_EMITTER_START_FAILED" not in os.environ and "LETTA_TOOL_ID" not in os.environ:
            os.environ["_LETTA_EMITTER_START_FAILED"] = "1"
            sys.stderr.write(
                f"letta-emitter: not attached: {error}; "
                f"install letta-gateway in the environment of {sys.executable}\n"
            )


def _run_hidden() -> None:
    """Run the `sitecustomize` that would have run without us, with whatever it raises."""
    others = [entry for entry in sys.path if os.path.realpath(entry or ".") != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec  # noqa: PLC0415 (rarely needed, and slow)

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_attach()
_run_hidden()
