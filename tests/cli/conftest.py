"""Fixtures for the commands: the real ones, against a gateway that runs as users run it, as a process."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from unittest import mock

import pytest

from gateway.cli import main

TIMEOUT_S = 60


class Result(NamedTuple):
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Command(Protocol):
    """Runs `letta-gateway` with these arguments to its end."""

    def __call__(
        self, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Result: ...


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without any setting of ours: a developer's own must not decide a test."""
    ours = ("GATEWAY_", "LETTA_EMITTER_", "LETTA_GATEWAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | (extra or {})


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Commands that end by themselves run in this process, which spares each its own interpreter."""
    elsewhere = tmp_path_factory.mktemp("cwd")

    def run(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, clean_environment(env), clear=True),
            contextlib.chdir(cwd or elsewhere),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            code = main.run(arguments)
        return Result(code, stdout.getvalue(), stderr.getvalue())

    return run


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """A command that goes on until it is asked to end; `lines` are what it has printed on stdout."""

    popen: subprocess.Popen[str]
    stderr: Path
    lines: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The next line of stdout; blocks for as long as it takes, bounded by the test's own end."""
        assert self.popen.stdout is not None
        text = self.popen.stdout.readline()
        assert text, f"it ended early: {self.stderr.read_text()}"
        self.lines.append(text)
        return text

    def said(self, text: str) -> str:
        """Wait until it says that on stderr; returns all of stderr."""
        until(lambda: text in self.stderr.read_text())
        return self.stderr.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(timeout=TIMEOUT_S)


def until(condition: Callable[[], bool], *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Process]]:
    """Start a command that goes on; whatever still runs at the end is ended."""
    started: list[Process] = []

    def run(*arguments: str, env: dict[str, str] | None = None) -> Process:
        stderr = tmp_path_factory.mktemp("stderr") / "stderr"
        with stderr.open("w") as written:
            popen = subprocess.Popen(
                [sys.executable, "-m", "gateway", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
                env=clean_environment(env),
                cwd=stderr.parent,
                # As in a shell: each command is a process group of its own.
                start_new_session=True,
            )
        started.append(Process(popen, stderr))
        return started[-1]

    yield run
    for process in started:
        if process.popen.poll() is None:
            process.end()
        if process.popen.stdout is not None:
            process.popen.stdout.close()


@dataclass(frozen=True)
class Dev:
    """A `dev` that runs, and what it announced."""

    process: Process
    data_dir: Path
    said: dict[str, Any]


@pytest.fixture(scope="session")
def start_dev(start: Callable[..., Process]) -> Callable[..., Dev]:
    def run(data_dir: Path, **env: str) -> Dev:
        process = start("dev", "--port", "0", "--data-dir", str(data_dir), "--json", env=env)
        return Dev(process, data_dir, json.loads(process.line()))

    return run


@pytest.fixture(scope="session")
def dev(start_dev: Callable[..., Dev], tmp_path_factory: pytest.TempPathFactory) -> Dev:
    """One gateway for all tests that only speak to one."""
    return start_dev(tmp_path_factory.mktemp("dev") / "data")
