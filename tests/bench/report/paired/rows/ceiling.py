"""What bounds everybody: how much the receiver takes from wrk, and how fast the gateway's sender alone posts."""

from __future__ import annotations

import re
import subprocess

import uvloop
from sender import measure, ours

from paired.environments import wrk
from paired.messages import Messages
from paired.run import Run

_SECONDS = 2
_SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["webhook-id"] = "dlv_aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4"
wrk.body = [==[%s]==]
"""
_RATE = re.compile(r"^Requests/sec: +([\d.]+)", re.MULTILINE)


def receiver_under_wrk(run: Run) -> dict[str, float]:
    """wrk, a C program, on one thread: the most that this receiver takes on this machine."""
    program, environment = wrk()
    with run.place() as folder:
        script = folder / "post.lua"
        script.write_text(_SCRIPT % Messages(run.tag, run.body_bytes).body(0).decode())
        run.receiver.expect(0)
        done = subprocess.run(
            [program, "-t1", f"-c{run.at_once}", f"-d{_SECONDS}s", "-s", str(script), run.receiver.sink()],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    found = _RATE.search(done.stdout)
    assert found, done.stdout
    return {"requests_per_s": float(found[1])}


def sender_alone(run: Run) -> dict[str, float]:
    """The gateway's sender with its egress guard: no queue, no log, and headers that are signed already."""
    with run.place():
        body = Messages(run.tag, run.body_bytes).body(0)
    run.receiver.expect(0)
    url = run.receiver.sink()
    job = measure(name="sender", client=ours, url=url, body=body, seconds=_SECONDS, at_once=run.at_once)
    measured = uvloop.run(job)
    return {"requests_per_s": measured.posts_per_s, "cpu_us": measured.cpu_us}
