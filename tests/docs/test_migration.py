"""The page on polling: its comparison says what only the poller saw, and what only the stream told."""

import os
import subprocess
import sys

import pytest
from flow_fixtures import TOKEN
from place import Place, step


@pytest.fixture(scope="module")
def subscription(place: Place) -> str:
    asked = {"sink": "pull:", "types": ["com.letta.agent.step.completed"]}
    answer = place.gateway.client.post("/v1/subscriptions", json=asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def compared(place: Place, subscription: str, *polled: str, after: str | None = None):
    listed = place.folder / "polled-here.txt"
    listed.write_text("".join(f"{line}\n" for line in polled))
    return subprocess.run(
        [sys.executable, "compare.py", subscription, listed.name, *([] if after is None else [after])],
        cwd=place.folder,
        env=os.environ
        | {"GATEWAY_URL": place.gateway.said["url"], "GATEWAY_API_TOKEN": TOKEN, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_both_saw_what_one_saw_and_where_to_go_on(place: Place, subscription: str):
    first, second = place.gateway.publish(step("step-m1"), step("step-m2"))
    equal = compared(place, subscription, "step-m1", "step-m2")
    assert equal.returncode == 0, equal.stderr
    assert "only polled: 0\nonly told: 0\nboth: 2; next time begin behind" in equal.stdout

    apart = compared(place, subscription, "step-m1", "step-m9")
    assert apart.returncode == 1
    assert "only polled: 1\n  step-m9\nonly told: 1\n  step-m2\nboth: 1" in apart.stdout

    # What was compared before is not looked at again.
    place.gateway.publish(step("step-m3"))
    later = compared(place, subscription, "step-m3", after=str(second))
    assert later.returncode == 0, later.stderr
    assert "only told: 0\nboth: 1" in later.stdout
    assert first < second
