"""What the flows' tests start and make, for the rows that are about behaviour on the wire."""

import importlib.util
from pathlib import Path

# Of the same folder of tests, and of no package: there is one way to run a gateway, and it is there.
_spec = importlib.util.spec_from_file_location(
    "flows_conftest", Path(__file__).parents[1] / "flows" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_flows = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_flows)

asking = _flows.asking
asking_process = _flows.asking_process
kind = _flows.kind
make_event = _flows.make_event
make_letta_event = _flows.make_letta_event
numbers = _flows.numbers
receiver = _flows.receiver
reply = _flows.reply
shared = _flows.shared
shared_process = _flows.shared_process
sink = _flows.sink
until = _flows.until
