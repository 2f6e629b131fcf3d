"""kill -9 of the gateway at random points, again and again, while events come in by HTTP and by Redis.

Afterwards: every event that was accepted has arrived, the hash chain holds, one event has one `webhook-id`, and what
arrived twice had been delivered so shortly before a kill that its outcome cannot have been journaled.

CHAOS_ROUNDS and CHAOS_SEED choose another run; the seed that was used is printed.
"""

import contextlib
import http.client
import http.server
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

pytestmark = pytest.mark.chaos

ROUNDS = int(os.environ.get("CHAOS_ROUNDS") or 4)
SEED = int(os.environ.get("CHAOS_SEED") or 20_260_101)
UP_S = (0.3, 2.0)
QUIET_S = 60.0
# A journal transaction follows the first outcome by 50 ms; the rest is for a machine that is busy.
JOURNAL_S = 1.5
HANDLED_S = 0.5
TOKEN = "chaos_token_of_sixteen"


@dataclass
class Receipt:
    """One POST that was answered with 200."""

    webhook_id: str
    event_id: str
    at: float


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_arguments: object) -> None:
        """Connections that end in the middle are what this test is about."""


@dataclass
class Receiver:
    """A sink that fails now and then, and dawdles."""

    chance: random.Random
    receipts: list[Receipt] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> http.server.ThreadingHTTPServer:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    dice = receiver.chance.random()
                if dice < 0.05:
                    time.sleep(dice)
                status = 503 if dice > 0.95 else 200
                if status == 200:
                    receipt = Receipt(self.headers["webhook-id"], self.headers["ce-id"], time.time())
                    with receiver.lock:
                        receiver.receipts.append(receipt)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def arrived(self) -> set[str]:
        with self.lock:
            return {receipt.event_id for receipt in self.receipts}


class Gateway:
    """`letta-gateway dev` on one data directory, killed and started again on one port."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        self.kills: list[float] = []
        self.process: subprocess.Popen[str] | None = None
        self.redis_url = ""

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway", "dev", "--json"]
        command += ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        with (self.data_dir.parent / "gateway.log").open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"GATEWAY_API_TOKEN": TOKEN},
            )
        line = self.process.stdout.readline() if self.process.stdout else ""
        assert line, (self.data_dir.parent / "gateway.log").read_text()[-3000:]
        ready = json.loads(line)
        self.port = urlsplit(ready["url"]).port or self.port
        self.redis_url = ready["redis_url"]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.kills.append(time.time())
        self.process.wait()
        self.close()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(timeout=60)
        self.close()
        return code

    def close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    def post(self, path: str, body: object, content_type: str = "application/json") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


@dataclass
class Producer:
    """Sends numbered events until told to stop; `accepted` are those that it has a word for."""

    gateway: Gateway
    name: str
    accepted: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def event(self, number: int) -> dict[str, object]:
        return {
            "specversion": "1.0",
            "id": f"{self.name}-{number}",
            "source": "/chaos",
            "type": "chaos.happened",
            "datacontenttype": "application/json",
            "data": {"n": number},
        }

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            event = self.event(number)
            # The same event again until there is a word for it, as a producer that cares would do.
            while not self.send(event):
                if self.stopping.wait(0.01):
                    return
            self.accepted.append(str(event["id"]))

    def send(self, event: dict[str, object]) -> bool:
        raise NotImplementedError


class HttpProducer(Producer):
    def send(self, event: dict[str, object]) -> bool:
        try:
            return self.gateway.post("/v1/events", event, "application/cloudevents+json") == 202
        except (OSError, http.client.HTTPException):
            return False


class RedisProducer(Producer):
    def send(self, event: dict[str, object]) -> bool:
        try:
            with redis.Redis.from_url(self.gateway.redis_url, socket_timeout=5) as client:
                client.xadd("letta.events", {"event": json.dumps(event)})
        except redis.RedisError:
            return False
        time.sleep(0.002)  # a pace, so that one producer does not starve the other on two cores
        return True


def test_nothing_accepted_is_lost_and_repeats_are_what_was_in_flight(tmp_path):
    chance = random.Random(SEED)
    print(f"CHAOS_SEED={SEED} CHAOS_ROUNDS={ROUNDS}")
    receiver = Receiver(random.Random(SEED + 1))
    sink = receiver.start()
    gateway = Gateway(tmp_path / "data", 0)
    producers = [HttpProducer(gateway, "http"), RedisProducer(gateway, "redis")]
    try:
        gateway.start()
        subscription = {
            "sink": f"http://127.0.0.1:{sink.server_port}/",
            "config": {"retry": [0.05, 0.1, 0.2, 0.5, 1, 1, 1, 1, 1, 1]},
        }
        assert gateway.post("/v1/subscriptions", subscription) == 201
        threads = [threading.Thread(target=producer.run, daemon=True) for producer in producers]
        for thread in threads:
            thread.start()
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(*UP_S))  # the random point, not a wait for something
            gateway.kill()
            gateway.start()
        for producer in producers:
            producer.stopping.set()
        for thread in threads:
            thread.join(timeout=30)
        accepted = {event_id for producer in producers for event_id in producer.accepted}
        deadline = time.time() + QUIET_S
        while accepted - receiver.arrived() and time.time() < deadline:
            time.sleep(0.05)
        missing = accepted - receiver.arrived()
        assert gateway.stop() == 0
        assert not missing, f"{len(missing)} of {len(accepted)} are lost: {sorted(missing)[:10]}"
        assert all(producer.accepted for producer in producers)
        check_repeats(receiver.receipts, gateway.kills)
        verified = subprocess.run(
            [sys.executable, "-m", "gateway", "verify-log", "--data-dir", gateway.data_dir],
            capture_output=True,
            text=True,
            check=False,
        )
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        for producer in producers:
            producer.stopping.set()
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.process.terminate()
            gateway.process.wait(timeout=60)
        gateway.close()
        sink.shutdown()
        sink.server_close()


def check_repeats(receipts: list[Receipt], kills: list[float]) -> None:
    by_event: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        by_event.setdefault(receipt.event_id, []).append(receipt)
    repeats = 0
    for event_id, found in by_event.items():
        assert len({receipt.webhook_id for receipt in found}) == 1, event_id
        for first, second in itertools.pairwise(found):
            repeats += 1
            # The sink may have noted a POST only a moment after its sender was gone.
            between = [at for at in kills if first.at - HANDLED_S <= at <= second.at]
            assert between, f"{event_id} came twice without a kill between"
            assert between[0] - first.at < JOURNAL_S, f"{event_id} was repeated long after its delivery"
    print(f"{len(by_event)} events, {len(kills)} kills, {repeats} repeats")
