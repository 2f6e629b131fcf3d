"""`tokens`: made, listed, used and revoked by commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    """A command to the gateway on the data directory."""
    return lambda *arguments: command(*arguments, "--data-dir", str(dev.data_dir))


@pytest.fixture
def using(command: Any, dev: Any) -> Callable[..., Any]:
    """A command to the same gateway with a token of one's own."""

    def run(token: str, *arguments: str) -> Any:
        return command(*arguments, env={"GATEWAY_URL": dev.said["url"], "GATEWAY_API_TOKEN": token})

    return run


def made(result: Any) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_token_from_creation_to_revocation(ask: Callable[..., Any], using: Callable[..., Any]) -> None:
    token = made(ask("tokens", "create", "--organization", "org-1", "--name", "ci", "--json"))
    assert (token["organization"], token["admin"], token["read_only"]) == ("org-1", False, False)
    created = using(token["token"], "subscriptions", "create", "--sink", "pull:", "--json")
    assert made(created)["organization"] == "org-1"
    refused = using(token["token"], "tokens", "list")
    assert (refused.returncode, "administrators" in refused.stderr) == (1, True)
    listed = [json.loads(line) for line in ask("tokens", "list", "--json").stdout.splitlines()]
    [shown] = [item for item in listed if item["id"] == token["id"]]
    assert (shown["state"], shown["last_used_at"] is not None) == ("active", True)
    assert token["token"] not in json.dumps(listed)
    revoked = ask("tokens", "revoke", token["id"])
    assert (revoked.returncode, revoked.stdout) == (0, f"Revoked {token['id']}.\n")
    over = using(token["token"], "subscriptions", "list")
    assert (over.returncode, token["token"] in over.stderr) == (1, False)
    assert token["id"] not in ask("tokens", "list").stdout
    again = ask("tokens", "revoke", token["id"])
    assert (again.returncode, "no token with this id" in again.stderr) == (1, True)


def test_the_last_use_outlives_the_gateway_s_end(
    start_dev: Callable[..., Any], command: Any, tmp_path: Path
) -> None:
    dev = start_dev(tmp_path / "data")
    here = ("--data-dir", str(dev.data_dir))
    token = made(command("tokens", "create", "--admin", "--json", *here))
    env = {"GATEWAY_URL": dev.said["url"], "GATEWAY_API_TOKEN": token["token"]}
    assert command("subscriptions", "list", env=env).returncode == 0
    used = json.loads(command("tokens", "list", "--json", *here).stdout)["last_used_at"]
    assert dev.process.end() == 0
    start_dev(tmp_path / "data")
    assert json.loads(command("tokens", "list", "--json", *here).stdout)["last_used_at"] == used
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or token["token"].encode() not in file.read_bytes()
    assert token["token"] not in dev.process.stderr.read_text()


def test_one_that_only_reads(ask: Callable[..., Any], using: Callable[..., Any]) -> None:
    token = made(ask("tokens", "create", "--admin", "--read-only", "--json"))["token"]
    assert using(token, "tokens", "list").returncode == 0
    refused = using(token, "subscriptions", "create", "--sink", "pull:")
    assert (refused.returncode, "only reads" in refused.stderr) == (1, True)


def test_for_people_it_is_shown_with_what_it_opens(ask: Callable[..., Any]) -> None:
    created = ask("tokens", "create", "--admin", "--name", "ops", "--expires-at", "2999-01-01T00:00:00Z")
    assert created.returncode == 0
    assert "lgw_" in created.stdout
    assert "shown this once" in created.stderr
    listed = ask("tokens", "list").stdout
    assert "lgw_" not in listed
    assert "every organization" in listed
    assert "2999-01-01" in listed


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ((), 2, "--admin"),
        (("--admin", "--organization", "org-1"), 2, "--organization"),
        (("--organization", "*"), 1, "/organization"),
        (("--admin", "--expires-at", "tomorrow"), 2, "--expires-at"),
        (("--admin", "--expires-at", "2001-01-01T00:00:00Z"), 1, "ahead of now"),
    ],
)
def test_what_cannot_be_made_is_told(
    ask: Callable[..., Any], arguments: tuple[str, ...], code: int, what: str
) -> None:
    result = ask("tokens", "create", *arguments)
    assert result.returncode == code
    assert what in result.stderr
