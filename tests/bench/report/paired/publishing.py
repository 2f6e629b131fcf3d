"""A process of its own that puts events into a gateway's stream, pipelined, as the emitter does.

It reads one JSON object a line and answers each with one:

    {"load": {"tag": 7, "body_bytes": 600, "first": 0, "count": 1000}}    frames are made ready
    {"publish": {"rate": null}}    they are added, all at once or so many a second; answers with the first moment
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from redis import Redis

from paired.clock import now_us
from paired.messages import Messages

_PIPELINE = 100
_TICK_S = 0.002

Add = Callable[[int, int], None]


def _adder(client: Redis, stream: str, messages: Messages, first: int) -> Add:
    """Add the messages from one number up to another in one round trip; each carries the moment it is added."""

    def add(start: int, end: int) -> None:
        pipe = client.pipeline(transaction=False)
        for number in range(first + start, first + end):
            pipe.xadd(stream, {b"__data__": messages.frame(number, now_us())})
        pipe.execute()

    return add


def _publish(add: Add, count: int, rate: float | None) -> int:
    begin_us = now_us()
    if rate is None:
        for start in range(0, count, _PIPELINE):
            add(start, min(start + _PIPELINE, count))
        return begin_us
    done = 0
    while done < count:
        due = min(count, 1 + int((now_us() - begin_us) * rate / 1e6))
        if due > done:
            add(done, due)
            done = due
        else:
            time.sleep(_TICK_S)
    return begin_us


def main(url: str, stream: str) -> None:
    client = Redis.from_url(url)
    client.ping()
    add: Add | None = None
    count = 0
    for line in sys.stdin:
        asked = json.loads(line)
        if load := asked.get("load"):
            count = load["count"]
            messages = Messages(load["tag"], load["body_bytes"], load.get("sampled_every", 1))
            add = _adder(client, stream, messages, load["first"])
            answer = {"loaded": count}
        else:
            assert add is not None, "nothing is loaded"
            answer = {"begin_us": _publish(add, count, asked["publish"]["rate"]), "end_us": now_us()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
