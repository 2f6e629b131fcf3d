"""What a shell completes: options of the command that may be left unnamed, and the names of Letta's events."""

import pytest

from schemas import SHORT_NAMES


@pytest.fixture
def complete(command):
    def run(line: str) -> list[str]:
        words = line.split(" ")
        variables = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        done = command(env={"_LETTA_GATEWAY_COMPLETE": "complete_bash", **variables})
        return done.stdout.split()

    return run


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("letta-gateway archive --be", ["--before"]),
        ("letta-gateway archive --before 7 --dr", ["--dry-run"]),
        ("letta-gateway archive re", ["restore"]),
        ("letta-gateway deliveries --und", ["--undelivered"]),
        ("letta-gateway deliveries --he", ["--help"]),
        ("letta-gateway emit agent.step.c", ["agent.step.completed"]),
        ("letta-gateway contracts show agent.job", ["agent.job.completed"]),
        ("letta-gateway events --type tool.e", ["tool.execution.completed"]),
        ("letta-gateway subscriptions create --type ", list(SHORT_NAMES)),
    ],
)
def test_a_shell_completes(complete, line, found):
    assert complete(line) == found
