"""A process that emits, for tests that kill it: prints each number once it is emitted, then waits for its end.

Arguments: Redis URL, spool folder, first number, count, pause between two events in seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import schemas
from letta_emitter.emitter import Emitter
from letta_emitter.settings import EmitterSettings


def main() -> None:
    url, folder, first, count, pause = sys.argv[1:6]
    emitter = Emitter(EmitterSettings(redis_url=url, spool_dir=Path(folder)))
    emitter.start()
    for number in range(int(first), int(first) + int(count)):
        attributes = {
            "id": f"evt_{number}",
            "source": "https://letta/organizations/org-1/agents/agent-1",
            "type": "com.letta.agent.message.sent",
        }
        emitter.emit(schemas.build(attributes, {"number": number, "text": "y" * 500}))
        print(number, flush=True)
        time.sleep(float(pause))
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
