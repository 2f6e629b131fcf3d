"""What is printed where there is little room, or none: nothing is lost, least of all a secret that is shown once."""

import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
PRINTING = (
    "from gateway.cli.output import print_details, print_table; "
    f"print_details([('id', 'sub_1'), ('secret', '{SECRET}'), ('text', 'a\\nb'), ('left out', None)]); "
    "print_table(('ID', 'STATE', 'SECRET'), [('sub_1', 'active', '" + "x" * 700 + "')])"
)


def on_terminal(columns: int, **env: str) -> str:
    """What a terminal of so many columns is sent; how wide it is says COLUMNS before the terminal itself."""
    leader, follower = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    try:
        popen = subprocess.Popen(
            [sys.executable, "-c", PRINTING],
            stdin=subprocess.DEVNULL,
            stdout=follower,
            env={**variables, "TERM": "xterm", "COLUMNS": str(columns), **env},
        )
        os.close(follower)
        said = b""
        while True:
            try:
                part = os.read(leader, 65_536)
            except OSError:  # the last one that had the other end open is gone
                break
            if not part:
                break
            said += part
        assert popen.wait(timeout=60) == 0
    finally:
        os.close(leader)
    return said.decode().replace("\r\n", "\n")


def unstyled(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("columns", [0, 1, 5, 10, 60])
def test_a_secret_is_whole_on_a_terminal_of_any_width(columns: int) -> None:
    lines = unstyled(on_terminal(columns)).splitlines()
    assert lines[:4] == ["id     sub_1", f"secret {SECRET}", "text   a", "       b"]
    table = lines[4:]
    assert "".join(line.split()[-1] for line in table[1:]).count("x") == 700
    assert max(map(len, table)) <= max(columns, 40)


@pytest.mark.parametrize("columns", ["0", "5", "80"])
def test_nothing_is_cut_or_folded_in_a_pipe(columns: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTING],
        env={**os.environ, "COLUMNS": columns},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1].split() == ["sub_1", "active", "x" * 700]
    assert f"secret {SECRET}" in done.stdout.splitlines()


@pytest.mark.parametrize("what", ["subscriptions", "tokens"])
def test_what_is_shown_once_is_shown_with_no_room_at_all(command: Any, dev: Any, what: str) -> None:
    made = {
        "subscriptions": ("subscriptions", "create", "--sink", "pull:"),
        "tokens": ("tokens", "create", "--admin"),
    }[what]
    shown = command(*made, "--data-dir", str(dev.data_dir), env={"COLUMNS": "0"}).stdout
    assert re.search(r"^(secret +whsec_|token +lgw_)\S{30,}$", shown, re.MULTILINE)


def test_no_color_is_no_escape_at_all() -> None:
    assert "\x1b" in on_terminal(80)
    assert "\x1b" not in on_terminal(80, NO_COLOR="1")
