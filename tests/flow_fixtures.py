"""The fixtures of `tests/flows` for other folders: a gateway as a process, a receiver, and what goes between them."""

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).parent / "flows" / "conftest.py"
_spec = importlib.util.spec_from_file_location("flow_fixtures_source", _PATH)
assert _spec is not None
assert _spec.loader is not None
_source = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _source  # its dataclasses look themselves up there
_spec.loader.exec_module(_source)

TOKEN = _source.TOKEN
Gateway = _source.Gateway
Posted = _source.Posted
Receiver = _source.Receiver
Sink = _source.Sink
kind = _source.kind
make_event = _source.make_event
make_gateway = _source.make_gateway
make_letta_event = _source.make_letta_event
numbers = _source.numbers
receiver = _source.receiver
shared = _source.shared
shared_process = _source.shared_process
sink = _source.sink
until = _source.until
