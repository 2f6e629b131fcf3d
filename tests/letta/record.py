"""Record the run that the demo replays: a real agent on a real Letta server.

    python tests/letta/record.py

writes `letta_emitter/recording/run.json` anew. What is recorded is what the hooks see, before anything is
made of it, so the demo runs the emitter's own code on it.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from environment import TOP, python
from harness.api import Letta
from harness.processes import wait_until
from harness.site import Site
from harness.sources import ADD, BOOM

TARGET = TOP / "letta_emitter" / "recording" / "run.json"
RECORDER = Path(__file__).parent / "harness" / "recorder.py"
BYTES_MAX = 100_000

# Where the recording was made is nobody's business.
_PATHS = re.compile(r"(?:/[\w.@+-]+)+/(?=(?:site-packages|python3\.\d+|tool_execution_dir)/)")


def scenario(letta: Letta) -> None:
    """One agent from its making to the end of a job: each type of event at least once."""
    agent = letta.agent("Ada", include_base_tools=False)["id"]
    add, boom = letta.tool(ADD)["id"], letta.tool(BOOM)["id"]
    letta.attach(agent, add).ok()
    letta.attach(agent, boom).ok()
    letta.say(agent, 'What is 19 + 23? [[call add_numbers {"a": 19, "b": 23}]] [[say 19 + 23 is 42.]]').ok()
    letta.stream(
        agent, 'Now break something. [[call boom {"reason": "as asked"}]] [[say That tool always fails.]]'
    )
    letta.detach(agent, boom).ok()
    assert letta.say(agent, "Are you there? [[refuse 400]]").status == 400
    run = letta.start(agent, "Still there? [[say Yes, and working in the background.]]").ok()["id"]
    wait_until(lambda: _ended(letta, f"/v1/runs/{run}"), "the run in the background", timeout_s=30)
    claude = letta.agent(
        "Bea",
        agent_type="memgpt_v2_agent",
        include_base_tools=False,
        tools=["send_message"],
        model="anthropic/claude-sonnet-4-20250514",
    )["id"]
    request = {"agent_id": claude, "messages": [{"role": "user", "content": "Hello from a batch."}]}
    job = letta.call("POST", "/v1/messages/batches", {"requests": [request]}).ok()["id"]
    wait_until(lambda: _ended(letta, f"/v1/jobs/{job}"), "the batch", timeout_s=60)


def _ended(letta: Letta, path: str) -> bool:
    return letta.get(path)["status"] in {"completed", "failed", "cancelled", "expired"}


def _tidy(value: Any) -> Any:
    """The same without what is absent and without the folders of this machine."""
    if isinstance(value, dict):
        return {name: _tidy(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return _PATHS.sub("…/", value) if isinstance(value, str) else value


def main() -> None:
    os.environ["PYTHONPATH"] = str(TOP)
    with Site(python()) as site:
        calls = site.folder / "calls.jsonl"
        server = site.server("recorded", launcher=[site.python, RECORDER, calls])
        server.start()
        scenario(Letta(server.url))
        server.stop()
        lines = [json.loads(line) for line in calls.read_text().splitlines()]
    recording = {"recorded_from": "letta 0.16.8", "calls": [_tidy(line) for line in lines]}
    text = json.dumps(recording, ensure_ascii=False, indent=1) + "\n"
    assert len(text.encode()) < BYTES_MAX, f"{len(text.encode())} bytes are too many for a package"
    TARGET.write_text(text)
    print(f"{len(lines)} calls in {len(text.encode())} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
