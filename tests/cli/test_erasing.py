"""`letta-gateway erase`, against a real gateway; what is gone afterwards is in `tests/flows/test_erasure.py`."""

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def run(command: Any, dev: Any) -> Callable[..., Any]:
    return lambda *arguments: command("erase", *arguments, "--data-dir", str(dev.data_dir))


def test_nothing_is_erased_before_somebody_has_said_yes(run):
    """Nobody can be asked here: there is no terminal."""
    result = run("--agent", "agent-none")
    assert result.returncode == 2
    assert "--yes" in result.stderr


def test_what_would_go_is_counted(run):
    result = run("--organization", "org-none", "--dry-run")
    assert (result.returncode, result.stdout) == (0, "Would erase 0 events and 0 records in quarantine.\n")
    assert json.loads(run("--agent", "x", "--dry-run", "--json").stdout) == {
        "events": 0,
        "quarantined": 0,
        "archives": 0,
    }


def test_it_waits_until_it_is_done(run):
    result = run("--agent", "agent-none", "--yes", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["state"] == "finished"
    assert run("--agent", "agent-none", "--yes").stdout.startswith("Erased: 0 events, ")


@pytest.mark.parametrize(
    "arguments", [(), ("--agent", "a", "--organization", "o"), ("--agent",), ("--agent", "a", "--all")]
)
def test_wrong_usage(run, arguments):
    assert run(*arguments).returncode == 2


def test_what_the_gateway_refuses_is_told_with_its_member(run):
    result = run("--agent", "", "--yes")
    assert result.returncode == 1
    assert "/agent_id" in result.stderr
