"""Where blocks are run: what stands for the names in them, and how a block that does not end by itself is ended."""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow_fixtures import TOKEN, Gateway, Receiver
from pages import ROOT, blocks_of

WITHIN_S = 60
# Commands that go on until they are told to end: what they print when they are at it, and by the end of the page.
ENDLESS = {
    # It names the next steps in the order of the README: the secret comes before the receiver that needs it.
    "letta-gateway dev": (
        "letta-gateway is ready",
        "--sink http://127.0.0.1:9000/\n  letta-gateway listen --port 9000 --secret whsec_…\n",
    ),
    # The one that verifies, with a mark for each of the two signatures that was good.
    "letta-gateway listen --port": ("Listening", "v1 ✓ hmac ✓"),
    "letta-gateway tail": ("", "org.example.happened"),
    "export GATEWAY_ENV=production": ("Serving ", ""),
    "letta-gateway listen --forward": ("org.example.happened", ""),
    "curl -sSN": ("id: ", "org.example.happened"),
}
# These open the database, or put another in its place: the gateway stands still for them, as the page says.
GATEWAY_STOPPED = ("letta-gateway verify-log", "rm -f .gateway")


class Place:
    """One folder with a gateway; a sink, a subscription, an event and what else the pages name."""

    def __init__(self, folder: Path, gateway: Gateway, receiver: Receiver) -> None:
        self.folder = folder
        self.gateway = gateway
        self.sink = receiver.sink()
        self.receiver = receiver
        self.names: dict[str, str] = {}
        self._background: list[Endless] = []
        self._numbers = itertools.count(1)

    def settle(self, until: Callable[..., Any]) -> None:
        """Make one of all that the pages name. An entry is put aside that passes once the setting has changed."""
        self.gateway.start()
        self.gateway.add(event("aside-1"), event("aside-2"))
        until(lambda: len(self.gateway.quarantine()) == 2)
        self.gateway.stop()
        self.gateway.env.pop("GATEWAY_UNKNOWN_TYPES")
        self.gateway.start()
        aside = sorted(item["id"] for item in self.gateway.quarantine().values())
        types = ["org.example.happened", "com.letta.agent.step.completed", "com.letta.agent.run.completed"]
        made = self.gateway.subscribe(self.sink, types=types, config={"retry": []})
        self.sink.reply(500)
        (failed,) = self.gateway.publish(event("failed"))
        delivery = self.gateway.settled(failed, "exhausted")["id"]
        (position,) = self.gateway.publish(event("one"))
        self.sink.wait(2)
        self._poll()
        token = self.gateway.client.post("/v1/tokens", json={"organization": "org-1"}).json()["id"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.names = {
            "https://example.com/hooks": self.sink.url,
            "http://127.0.0.1:3000/hooks": self.sink.url,
            "sub_…": made["id"],
            "whsec_…": made["secret"],
            "dlv_…": delivery,
            "tok_…": token,
            "discard qrn_…": f"discard {aside[1]}",
            "qrn_…": aside[0],
            "4711": str(position),
            "redis://127.0.0.1:PORT/0": self.gateway.said["redis_url"],
            "redis://127.0.0.1:6379/0": self.gateway.said["redis_url"],
            # A port that is free here, and a folder of its own for a second gateway.
            "9000": str(port),
            "letta-gateway dev": "letta-gateway dev --port 0 --data-dir another",
            # A gateway for real reads another stream than the one that is there.
            "serve --role all --data-dir /var/lib/letta-gateway": "serve --role all --port 0 --data-dir real",
            "GATEWAY_ENV=production": "GATEWAY_ENV=production GATEWAY_STREAM=another",
            # No Letta server stands here; `tests/letta` starts one in this way.
            "-- letta server": "-- python -c pass",
        }

    def _poll(self) -> None:
        """What the page on polling begins with: steps that happened, a poller's list of them, and its program."""
        self.gateway.publish(step("step-a"), step("step-b"))
        (self.folder / "polled.txt").write_text("step-a\n")
        (block,) = (it for it in blocks_of(ROOT / "docs/migration.md") if it.language == "python")
        (self.folder / "compare.py").write_text(block.text)

    def filled_in(self, text: str) -> str:
        """The text of a block with the names that stand for something here."""
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def run(self, text: str) -> None:
        """Run a block to its end, or until it is at what it does for ever; that it goes on with, until `end`."""
        endless = [said for word, said in ENDLESS.items() if text.startswith(word)]
        if endless:
            self._background.append(Endless(self._start(text), *endless[0]))
            return
        stopped = any(word in text for word in GATEWAY_STOPPED)
        if stopped:
            assert self.gateway.stop() == 0
        try:
            printed = self._to_its_end(text)
        finally:
            if stopped:
                self.gateway.start()
        # What a later block of the page speaks of is what this one has made.
        for made in re.findall(r"whsec_\S+", printed):
            self.names["whsec_…"] = made

    def end(self) -> None:
        """End what goes on for ever, as a person would."""
        while self._background:
            self._background.pop().end(self._something_happens)

    def _something_happens(self) -> None:
        """Whoever follows what happens sees it only from when it began to."""
        self.gateway.publish(event(f"happened-{next(self._numbers)}"))

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "LETTA_"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        spool = {"LETTA_EMITTER_SPOOL_DIR": str(self.folder / "spool")}
        spoken_to = {"GATEWAY_URL": self.gateway.said["url"], "GATEWAY_API_TOKEN": TOKEN}
        return kept | spool | spoken_to | {"PATH": path, "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}

    def _start(self, text: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.filled_in(text)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _to_its_end(self, text: str) -> str:
        process = self._start(text)
        try:
            printed, _ = process.communicate(timeout=WITHIN_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, printed
        assert "Traceback" not in printed, printed
        return printed


class Endless:
    """A command that goes on until it is told to end. It is there once `first` was printed."""

    def __init__(self, process: subprocess.Popen[str], first: str, by_the_end: str) -> None:
        self._process = process
        self._by_the_end = by_the_end
        self._printed: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait_for(first)
        except AssertionError:
            os.killpg(process.pid, signal.SIGKILL)
            raise

    def end(self, nudge: Callable[[], None]) -> None:
        """Wait for what it is to have printed by now, and press Ctrl-C."""
        try:
            self._wait_for(self._by_the_end, nudge)
            os.killpg(self._process.pid, signal.SIGINT)
            code = self._process.wait(WITHIN_S)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join(WITHIN_S)
        assert code in {0, 130, -signal.SIGINT}, (code, self._text())
        assert "Traceback" not in self._text(), self._text()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self._printed.extend(lines)

    def _wait_for(self, text: str, nudge: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + WITHIN_S
        while text not in self._text():
            assert self._process.poll() is None, f"it ended by itself: {self._text()}"
            assert time.monotonic() < deadline, f"it did not print {text!r}: {self._text()}"
            nudge()
            time.sleep(0.2)

    def _text(self) -> str:
        return "".join(self._printed)


def event(event_id: str, kind: str = "org.example.happened") -> dict[str, Any]:
    """An event that is not Letta's."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/docs",
        "type": kind,
        "datacontenttype": "application/json",
        "data": {"n": 1},
    }


def step(step_id: str) -> dict[str, Any]:
    """A step of an agent, as the emitter tells of it."""
    event_id = f"evt_{step_id}"
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "https://letta/organizations/org-1/agents/agent-1",
        "type": "com.letta.agent.step.completed",
        "subject": step_id,
        "time": "2026-01-01T12:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": "agent-1",
        "data": {
            "event_id": event_id,
            "event_type": "agent.step.completed",
            "timestamp": "2026-01-01T12:00:00Z",
            "agent_id": "agent-1",
            "organization_id": "org-1",
            "data": {"step_id": step_id, "status": "completed"},
        },
    }
