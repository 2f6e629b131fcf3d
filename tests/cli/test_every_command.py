"""No command ends in a traceback for anything a user can cause: every command, in every such situation.

The commands are found in the program itself, so that none is forgotten, and arguments are made from their own
declarations. An exception that nobody explains comes out of `main.run`, and fails the test.
"""

import errno
import http.server
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.core import TyperGroup

from gateway.cli import main
from gateway.cli.output import print_table
from gateway.cli.progress import bar

# What the declarations alone do not tell: which of several options is needed.
MORE = {
    ("erase",): ("--agent", "a", "--yes"),
    ("subscriptions", "replay"): ("--from-position", "1"),
    ("subscriptions", "update"): ("--name", "x"),
    ("emit",): ("--redis-url", "redis://127.0.0.1:1/0"),
    ("serve",): ("--role", "all"),
}
# They go on until they are asked to end.
ON_AND_ON = {("dev",), ("serve",), ("listen",), ("demo",), ("tail",)}
DATABASE = {("migrate",), ("verify-log",), ("rebuild",)}


def found() -> dict[tuple[str, ...], Any]:
    def walk(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(command, TyperGroup):
            for name, inner in command.commands.items():
                yield from walk(inner, *path, name)
        else:
            yield path, command

    return dict(walk(typer.main.get_command(main.app)))


def options(path: tuple[str, ...]) -> set[str]:
    return {name for parameter in COMMANDS[path].params for name in parameter.opts}


COMMANDS = found()
# They work on what is here, and speak to nobody.
LOCAL = {path for path in COMMANDS if path[0] == "contracts" and "--data-dir" not in options(path)}
ASKING = sorted(set(COMMANDS) - LOCAL - DATABASE - ON_AND_ON - {("emit",)})


def arguments(path: tuple[str, ...]) -> list[str]:
    """The command with a value for everything that it requires."""
    told = [*path]
    for parameter in COMMANDS[path].params:
        if not parameter.required:
            continue
        value = _value(parameter)
        told += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return told + list(MORE.get(path, ()))


def _value(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return str(next(iter(annotation)).value)
    if parameter.name == "event_type":
        return "agent.step.completed"
    return "{}" if parameter.name in {"data", "config"} else "1"


class Stranger(http.server.BaseHTTPRequestHandler):
    """Answers everything with something that no gateway says."""

    said = (200, "text/html", b"<html>hello")

    def _answer(self) -> None:
        status, kind, body = self.said
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the server's own names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(
    scope="module", params=["a page", "an empty object", "a list", "no content", "an error", "half"]
)
def stranger(request: Any) -> Iterator[str]:
    said = {
        "a page": (200, "text/html", b"<html>hello"),
        "an empty object": (200, "application/json", b"{}"),
        "a list": (200, "application/json", b"[]"),
        "no content": (200, "application/json", b""),
        "an error": (500, "text/plain", b"oh"),
        "half": (200, "application/json", b'{"items": [{"id"'),
    }[request.param]
    handler = type("Handler", (Stranger,), {"said": said})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def check(result: Any, *, codes: tuple[int, ...] = (1, 2)) -> None:
    assert result.returncode in codes, result
    assert "Traceback" not in result.stderr
    if result.returncode:
        assert result.stderr.strip(), "it says nothing"


def test_the_walk_finds_them_all() -> None:
    assert len(COMMANDS) > 35
    assert set(MORE) | ON_AND_ON | LOCAL | DATABASE <= set(COMMANDS)


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "http://no-such-host.invalid",
        "ftp://x",
        "http://",
        "http://[::1",
        "x",
        "http://h:99999",
    ],
)
def test_a_wrong_address(command: Any, path: tuple[str, ...], url: str) -> None:
    check(command(*arguments(path), env={"GATEWAY_URL": url, "GATEWAY_API_TOKEN": "t"}))


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
@pytest.mark.parametrize("token", ["wrong", "", "ü", "two words"])
def test_a_wrong_token(command: Any, dev: Any, path: tuple[str, ...], token: str) -> None:
    env = {"GATEWAY_URL": dev.said["url"], "GATEWAY_API_TOKEN": token}
    # Contracts are for everybody.
    check(command(*arguments(path), env=env), codes=(0, 1, 2) if path[0] == "contracts" else (1, 2))


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
def test_somebody_else_answers(command: Any, stranger: str, path: tuple[str, ...]) -> None:
    env = {"GATEWAY_URL": stranger, "GATEWAY_API_TOKEN": "t"}
    check(command(*arguments(path), env=env), codes=(0, 1, 2))


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - LOCAL - {("listen",), ("demo",)}), ids=" ".join)
@pytest.mark.parametrize("what", ["a file", "nothing", "not json", "below a file"])
def test_a_data_directory_that_is_none(
    command: Any, tmp_path: Path, path: tuple[str, ...], what: str
) -> None:
    if "--data-dir" not in options(path):
        pytest.skip("it has none")
    if what in {"nothing", "not json"} and (path in ON_AND_ON or path == ("migrate",)):
        pytest.skip("it makes one, or takes over what is there")
    folder = tmp_path / "data"
    if what == "a file":
        folder.write_text("x")
    elif what == "not json":
        folder.mkdir()
        (folder / "gateway.json").write_text("{")
    elif what == "below a file":
        folder.write_text("x")
        folder /= "further"
    env = {"GATEWAY_ENV": "development"} if path == ("serve",) else {}
    check(
        command(*arguments(path), "--data-dir", str(folder), env=env),
        codes=(0, 1, 2) if path == ("emit",) else (1, 2),
    )


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
def test_interrupted_where_it_waits(
    command: Any, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(httpx.Client, "send", interrupted)
    result = command(*arguments(path), env={"GATEWAY_URL": "http://127.0.0.1:1", "GATEWAY_API_TOKEN": "t"})
    check(result)


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_help_and_wrong_usage(command: Any, path: tuple[str, ...]) -> None:
    assert command(*path, "--help").returncode == 0
    check(command(*path, "--no-such-option"), codes=(2,))


@pytest.mark.parametrize("path", sorted(LOCAL), ids=" ".join)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE])
def test_nobody_takes_its_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: tuple[str, ...], number: int
) -> None:
    class Refusing(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(number, os.strerror(number))

        def fileno(self) -> int:
            return os.open(os.devnull, os.O_WRONLY)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", Refusing())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert main.run(arguments(path)) == 1


@pytest.mark.parametrize("path", sorted(DATABASE), ids=" ".join)
@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_database_that_is_none(command: Any, tmp_path: Path, path: tuple[str, ...], content: bytes) -> None:
    (tmp_path / "gateway.db").write_bytes(content)
    check(command(*arguments(path), "--data-dir", str(tmp_path)), codes=(0, 1, 2))


@pytest.mark.parametrize("path", sorted(DATABASE), ids=" ".join)
def test_a_database_that_somebody_has(command: Any, dev: Any, path: tuple[str, ...]) -> None:
    result = command(*arguments(path), "--data-dir", str(dev.data_dir))
    check(result, codes=(1,))
    assert "in use" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_what_is_typed(shell: str) -> None:
    """The program's own completion: it is installed by `--install-completion`, and shown by `--show-completion`."""
    line = "letta-gateway subscriptions rot"
    typed = {"bash": {"COMP_WORDS": line, "COMP_CWORD": "2"}}.get(shell, {"_TYPER_COMPLETE_ARGS": line})
    if shell == "fish":
        typed["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli.main import app; app(prog_name='letta-gateway')"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | typed | {"_LETTA_GATEWAY_COMPLETE": f"complete_{shell}"},
    )
    assert "rotate-secret" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, False), ({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_bars_and_colours_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    coloured: bool,  # noqa: FBT001 - a case
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return bool(env)

    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    stderr, stdout = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "stdout", stdout)
    with bar("done", 10) as advance:
        advance(5)
    print_table(("A", "B"), [("1", "2")])
    assert ("5/10" in stderr.getvalue()) is bool(env)
    assert ("\x1b[3" in stderr.getvalue()) is coloured
    assert ("\x1b[3" in stdout.getvalue() or "\x1b[1;3" in stdout.getvalue()) is False
    assert stdout.getvalue().split() != []


def test_a_signal_ends_it(start: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start("listen", "--port", "0")
        process.said("Listening on")
        assert process.end(number) == 0
        assert "Traceback" not in process.stderr.read_text()
