"""The demo: it works as a user runs it, and it notices whatever could be wrong."""

import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.cli.demo_report import Round, faults, print_round
from gateway.cli.receiver import Received
from gateway.cli.signatures import Check, Verdict
from schemas import Envelope, build

GOOD, BAD = Check(Verdict.GOOD), Check(Verdict.BAD, "No matching signature found")
TRACES = ("4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c")


def event(name: str, step: str | None = "step-1", trace: str = TRACES[0]) -> Envelope:
    return build(
        {
            "id": name,
            "source": "https://letta/organizations/o",
            "type": "com.letta.agent.step.completed",
            "subject": step,
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        },
        {"data": {"step_id": step} if step else {}},
    )


def post(of: Envelope, *, delivery: str = "", trace: str = TRACES[0]) -> Received:
    return Received(
        headers={
            "webhook-id": delivery or f"dlv_{of.id}",
            "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        },
        body=b"",
        events=[of],
        verified_v1=GOOD,
        verified_letta=GOOD,
        duplicate=False,
        at=datetime.now(UTC),
    )


def delivered(*ids: str) -> dict[str, Sequence[dict[str, Any]]]:
    return {name: [{"state": "delivered", "attempts": [{}]}] for name in ids}


GOOD_ROUND = Round(["a", "b"], [post(event("a")), post(event("b"))], delivered("a", "b"))


def test_a_good_round_has_no_faults() -> None:
    assert faults(GOOD_ROUND) == []


@pytest.mark.parametrize(
    ("round_", "what"),
    [
        (replace(GOOD_ROUND, received=GOOD_ROUND.received[:1]), "b arrived 0 times"),
        (replace(GOOD_ROUND, received=[*GOOD_ROUND.received, post(event("b"))]), "b arrived 2 times"),
        (
            replace(GOOD_ROUND, received=[*GOOD_ROUND.received, post(event("c"))]),
            "c arrived and was not sent",
        ),
        (
            replace(GOOD_ROUND, received=[post(event("a")), replace(post(event("b")), verified_v1=BAD)]),
            "dlv_b: Standard Webhooks signature not verified: No matching",
        ),
        (
            replace(GOOD_ROUND, received=[post(event("a")), replace(post(event("b")), verified_letta=BAD)]),
            "dlv_b: X-Letta-Signature not verified",
        ),
        (
            replace(GOOD_ROUND, received=[post(event("a")), post(event("b"), trace=TRACES[1])]),
            f"dlv_b: began in trace {TRACES[0]}, was posted in trace {TRACES[1]}",
        ),
        (
            replace(
                GOOD_ROUND, received=[post(event("a")), post(event("b", trace=TRACES[1]), trace=TRACES[1])]
            ),
            "step-1 has 2 traces",
        ),
        (
            replace(GOOD_ROUND, received=[post(event("a", None)), post(event("b", None))]),
            "no event of an agent step arrived",
        ),
        (
            replace(GOOD_ROUND, received=[*GOOD_ROUND.received, replace(post(event("b")), events=[])]),
            "dlv_b is no event",
        ),
        (replace(GOOD_ROUND, deliveries=delivered("a")), "b has 0 deliveries"),
        (
            replace(
                GOOD_ROUND,
                deliveries=delivered("a") | {"b": [{"state": "pending", "attempts": [{}, {}]}]},
            ),
            "b is pending after 2 attempts",
        ),
    ],
)
def test_whatever_is_wrong_is_noticed(round_: Round, what: str) -> None:
    assert any(what in fault for fault in faults(round_)), faults(round_)


def test_the_table_marks_what_is_not_verified(capsys: pytest.CaptureFixture[str]) -> None:
    print_round(replace(GOOD_ROUND, received=[post(event("a")), replace(post(event("b")), verified_v1=BAD)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].count("✓") == 2
    assert (lines[2].count("✓"), lines[2].count("✗")) == (1, 1)


def test_once_it_replays_checks_and_ends_within_30_seconds(start: Callable[..., Any]) -> None:
    began = time.monotonic()
    # Settings of the environment are somebody's own gateway's, not the demo's.
    process = start("demo", "--once", env={"GATEWAY_ENV": "production", "GATEWAY_API_TOKEN": "x"})
    assert process.popen.stdout is not None
    printed = process.popen.stdout.read()
    assert process.popen.wait(timeout=30) == 0, process.stderr.read_text()
    assert time.monotonic() - began < 30
    assert "✗" not in printed
    found = re.search(r"^(\d+) of (\d+) events arrived, each once, verified", printed, re.MULTILINE)
    assert found is not None
    assert found[1] == found[2]
    assert printed.count("✓") == 2 * int(found[1])
    for name in ("agent.step.completed", "agent.run.completed", "tool.execution.completed"):
        assert name in printed


def test_without_once_it_goes_on_until_ctrl_c_and_leaves_nothing_behind(start: Callable[..., Any]) -> None:
    process = start("demo", "--interval", "1")
    for _ in range(2):
        while "events arrived, each once" not in process.line():
            pass
    said = process.said("A gateway runs at")
    url = re.search(r"(http://\S+?),", said)
    assert url is not None
    assert httpx.get(url[1] + "/healthz").status_code == 200
    assert process.end(signal.SIGINT) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(url[1] + "/healthz")
    assert "Traceback" not in process.stderr.read_text()


def test_a_gateway_that_does_not_come_up_is_told_with_what_it_said(command: Any) -> None:
    # The child is the same program: this makes it one whose interpreter ends at once.
    result = command("demo", "--once", env={"PYTHONHOME": "/nonexistent"})
    assert result.returncode == 1
    assert "The gateway did not come up" in result.stderr
    assert "encodings" in result.stderr
