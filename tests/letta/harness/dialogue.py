"""The same talk with any server, and its answers in a form in which two servers can be compared."""

import re
from dataclasses import dataclass

from harness.api import Answer, Letta
from harness.sources import ADD

# What differs from one talk to the next, whoever listens.
_VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b(?:call|chatcmpl|evt)[_-][0-9a-z]{6,}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [AP]M"), "TIME"),
    (re.compile(r'("[a-z_]*(?:_ns|_ms)": ?)\d+(?:\.\d+)?'), r"\1N"),
    (re.compile(r"/\S*/tool_execution_dir/\w+\.py"), "SCRIPT"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "ORIGIN"),
)


@dataclass(frozen=True)
class Dialogue:
    """The agent that was talked with, and what the server answered."""

    agent: str
    answers: list[tuple[int, str]]


def dialogue(letta: Letta) -> Dialogue:
    """Make an agent and talk with it in several ways, well and badly."""
    tool = letta.tool(ADD)["id"]
    made = letta.call("POST", "/v1/agents/", letta.agent_body("same", include_base_tools=False))
    agent = made.ok()["id"]
    sum_asked = 'What is 1 + 2? [[call add_numbers {"a": 1, "b": 2}]] [[say Three.]]'
    answers = [
        made,
        letta.attach(agent, tool),
        letta.say(agent, "[[say Hello.]]"),
        letta.say(agent, sum_asked),
        letta.say(agent, "[[refuse 400]]"),
        letta.stream(agent, "[[say Hello again.]]"),
        letta.background_stream(agent, "[[say Still here.]]"),
        letta.run(agent, "[[say In the background.]]"),
        letta.detach(agent, tool),
        letta.call("GET", f"/v1/agents/{agent}/messages?limit=100"),
        letta.call("GET", f"/v1/agents/{agent}/tools"),
    ]
    return Dialogue(agent, [_comparable(answer) for answer in answers])


def _comparable(answer: Answer) -> tuple[int, str]:
    text = answer.text
    for pattern, stand_in in _VARYING:
        text = pattern.sub(stand_in, text)
    # A stream says that it is still alive whenever a second has passed.
    lines = [
        line
        for line in text.splitlines()
        if '"message_type":"ping"' not in line and ": keepalive" not in line
    ]
    return answer.status, "\n".join(line for line in lines if line)
