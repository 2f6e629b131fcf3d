"""`subscriptions import`: a file in parts, and what is said where one of them is refused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from gateway.cli import importing

Import = Callable[..., Any]
SINK = "http://127.0.0.1:9/imported"


@pytest.fixture
def import_(command: Any, dev: Any, tmp_path: Path) -> Iterator[Import]:
    """Write a file and import it, three lines at a time; what was made is deleted in the end."""
    file = tmp_path / "subscriptions.ndjson"

    def run(*lines: object, arguments: tuple[str, ...] = ()) -> Any:
        file.write_text(
            "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        )
        with mock.patch.object(importing, "LINES_MAX", 3):
            return command("subscriptions", "import", str(file), *arguments, "--data-dir", str(dev.data_dir))

    yield run
    for made in listed(command, dev):
        command("subscriptions", "delete", made["id"], "--data-dir", str(dev.data_dir))


def listed(command: Any, dev: Any) -> list[dict[str, Any]]:
    shown = command("subscriptions", "list", "--json", "--data-dir", str(dev.data_dir)).stdout
    found = [json.loads(line) for line in shown.splitlines()]
    return [one for one in found if one["sink"].startswith(SINK)]


def asked(number: int) -> dict[str, object]:
    return {"sink": f"{SINK}/{number}", "types": ["agent.step.completed"], "name": f"number {number}"}


def test_every_line_becomes_a_subscription(import_: Import, command: Any, dev: Any) -> None:
    result = import_(*map(asked, range(7)), arguments=("--json",))
    assert result.returncode == 0, result.stderr
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [item["line"] for item in told] == list(range(1, 8))
    assert all(item["secret"].startswith("whsec_") for item in told)
    found = listed(command, dev)
    assert [item["id"] for item in told] == [one["id"] for one in found]
    assert [one["name"] for one in found] == [f"number {number}" for number in range(7)]
    assert "7 subscriptions were made" in result.stderr
    assert "shown this once" in result.stderr


def test_without_json_it_is_a_line_each(import_: Import) -> None:
    result = import_(asked(1), "", asked(2))
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["1", "3"]
    assert all(line.split()[2].startswith("whsec_") for line in result.stdout.splitlines())


def test_a_refused_part_says_which_lines_and_where_to_go_on(import_: Import, command: Any, dev: Any) -> None:
    lines = [asked(1), asked(2), asked(3), asked(4), {"sink": ""}, asked(6)]
    refused = import_(*lines)
    assert refused.returncode == 1
    assert len(refused.stdout.splitlines()) == 3
    assert "line 5: /sink" in refused.stderr
    assert "Nothing behind line 3 was imported: go on with --from-line 4." in refused.stderr
    assert "Traceback" not in refused.stderr
    lines[4] = asked(5)
    again = import_(*lines, arguments=("--from-line", "4"))
    assert [line.split()[0] for line in again.stdout.splitlines()] == ["4", "5", "6"]
    assert [one["name"] for one in listed(command, dev)] == [f"number {number}" for number in range(1, 7)]


@pytest.mark.parametrize(
    ("line", "what"),
    [("{oops", "Line 5 is not valid JSON"), ('"' + "x" * 300_000 + '"', "Line 5 has more than")],
)
def test_a_line_that_cannot_be_read_is_wrong_usage(import_: Import, line: str, what: str) -> None:
    result = import_(*map(asked, range(4)), line)
    assert result.returncode == 2
    assert what in result.stderr
    assert "go on with --from-line 4" in result.stderr


def test_a_file_that_is_not_there(command: Any, dev: Any, tmp_path: Path) -> None:
    result = command("subscriptions", "import", str(tmp_path / "none"), "--data-dir", str(dev.data_dir))
    assert result.returncode == 2
    assert "cannot be read" in result.stderr


def test_an_empty_file_makes_none(import_: Import) -> None:
    result = import_()
    assert result.returncode == 0
    assert result.stdout == ""
    assert "0 subscriptions were made" in result.stderr


def test_a_gateway_that_is_not_there(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "subscriptions.ndjson"
    file.write_text(json.dumps(asked(1)))
    env = {"GATEWAY_URL": "http://127.0.0.1:1", "GATEWAY_API_TOKEN": "t"}
    result = command("subscriptions", "import", str(file), env=env)
    assert result.returncode == 1
    assert "does not answer" in result.stderr
    assert "--from-line 1" in result.stderr
