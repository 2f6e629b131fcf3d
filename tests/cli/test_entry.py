"""How a command begins: Ctrl-C while it loads, streams that are closed, and encodings that lack a character."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.waterfall import Line, Scale, drawn_in

NO_SERVER = {"GATEWAY_URL": "http://127.0.0.1:9", "GATEWAY_API_TOKEN": "x"}
PROGRAMS = ("gateway", "letta_emitter")


def ended(closing: str, *arguments: str, module: str = "gateway", **env: str) -> Any:
    """A command as a shell runs it, with some of its standard streams closed."""
    line = f'exec "$@" {closing}'
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", sys.executable, "-m", module, *arguments],
        env={**os.environ, **NO_SERVER, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def until(condition: Callable[[], Any], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.mark.parametrize("module", PROGRAMS)
def test_ctrl_c_while_it_loads_is_a_line(module: str, tmp_path: Path) -> None:
    # What is imported first of all that takes time stands still, until it is interrupted there.
    late = "gateway/cli/main.py" if module == "gateway" else "letta_emitter/doctor.py"
    hook = tmp_path / "sitecustomize.py"
    hook.write_text(
        "import sys, signal, os\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {late.removesuffix('.py').replace('/', '.')!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "            try:\n"
        "                while True: signal.pause()\n"
        "            except KeyboardInterrupt:\n"
        "                raise ImportError('an exception became another one')\n"
        "sys.meta_path.insert(0, Stop())\n"
    )
    arguments = ("contracts", "list") if module == "gateway" else ("doctor",)
    done = ended("", *arguments, module=module, PYTHONPATH=str(tmp_path))
    name = "letta-gateway" if module == "gateway" else "letta-emitter"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", f"{name}: Interrupted.\n")


def test_who_has_it_ignored_is_not_ended(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        (tmp_path / "sitecustomize.py").write_text(
            "import sys, signal, os\n"
            "class Kill:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'gateway.cli.main': os.kill(os.getpid(), signal.SIGINT)\n"
            "sys.meta_path.insert(0, Kill())\n"
        )
        done = ended("", "--version", PYTHONPATH=str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("closing", "arguments", "code", "said"),
    [
        ("<&-", ("subscriptions", "import", "-"), 1, "stdin or stdout is closed"),
        ("<&-", ("events", "--limit", "1"), 1, "does not answer"),
        (">&-", ("--version",), 1, "stdin or stdout is closed"),
        (">&-", ("archive", "--help"), 1, "stdin or stdout is closed"),
        (">/dev/full", ("--version",), 1, "no space is left"),
        ("<&- >&- 2>&-", ("--help",), 1, ""),
        ("2>&-", ("--help",), 0, ""),
    ],
)
def test_streams_that_are_closed_are_told(
    closing: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = ended(closing, *arguments)
    assert done.returncode == code
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert done.stderr.count(b"\n") == bool(said)


def test_an_erasure_with_stdin_closed_asks_nobody(dev: Any) -> None:
    env = {"GATEWAY_URL": dev.said["url"], "GATEWAY_API_TOKEN": dev.said["token"]}
    done = ended("<&-", "erase", "--agent", "agent-none", **env)
    assert done.returncode == 2
    assert b"nobody can be asked here" in done.stderr


@pytest.mark.parametrize("closing", [">&-", ">/dev/full"])
def test_the_emitter_s_report_that_nobody_gets_is_told(closing: str) -> None:
    done = ended(closing, "doctor", module="letta_emitter")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("letta-emitter: stdout cannot be written: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_an_encoding_lacks_is_spelled_out(env: dict[str, str]) -> None:
    done = ended("", "listen", "--help", **env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"whsec_\\u2026" in done.stdout


def test_an_encoding_without_the_bars_has_them_in_ascii() -> None:
    assert drawn_in("utf-8")
    assert drawn_in(None)
    for encoding in ("ascii", "latin-1", "no-such"):
        assert not drawn_in(encoding)
    lines = [Line("◆", "emitted", 0.0, None), Line("┈", "gap", 0.0, 1.0), Line("█", "attempt", 1.0, 1.0)]
    scale = Scale(lines, ascii_only=True)
    drawn = [scale.bar(line).plain for line in lines]
    assert "".join(drawn).isascii()
    assert [one.strip()[0] for one in drawn] == ["*", ".", "#"]


def test_a_gateway_its_receiver_and_a_trace_go_where_ascii_is_all_there_is(
    start: Any, tmp_path: Path
) -> None:
    data_dir = ("--data-dir", str(tmp_path / "data"))
    env = {"PYTHONIOENCODING": "ascii", "GATEWAY_URL": "", "GATEWAY_API_TOKEN": ""}
    gateway = start("dev", "--port", "0", *data_dir, env=env)
    while not gateway.line().startswith("  letta-gateway listen"):
        pass
    assert "whsec_\\u2026" in gateway.lines[-1]
    emitted = ended(
        "", "emit", "com.example.plain", "--source", "https://e/c", "--data", "1", "--json", *data_dir, **env
    )
    event_id = json.loads(emitted.stdout)["id"]
    drawn: list[Any] = []
    until(lambda: drawn.append(ended("", "trace", event_id, *data_dir, **env)) or drawn[-1].returncode == 0)
    assert drawn[-1].stderr == b""
    assert b"*" in drawn[-1].stdout
    assert b"\\u" not in drawn[-1].stdout
