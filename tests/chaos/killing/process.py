"""`letta-gateway dev` on one data directory, killed and started again on one port."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TOKEN = "chaos_token_of_sixteen"
_TIMEOUT_S = 10.0


@dataclass
class Life:
    """One process, from before it was started until it was gone; seconds since the Unix epoch."""

    began: float
    ended: float = float("inf")
    killed: bool = False


class Gateway:
    def __init__(self, data_dir: Path, announce: Callable[[int], None]) -> None:
        """`announce` is told the number of each life before it begins."""
        self.data_dir = data_dir
        self._announce = announce
        self.port = 0
        self.redis_url = ""
        self.lives: list[Life] = []
        self._log = data_dir.parent / "gateway.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and return once it says that it is ready."""
        self.spawn()
        assert self._process is not None
        line = self._process.stdout.readline() if self._process.stdout else ""
        assert line, self.told()[-3000:]
        ready = json.loads(line)
        self.port = urlsplit(ready["url"]).port or self.port
        self.redis_url = ready["redis_url"]

    def spawn(self) -> None:
        """Start, and do not wait for it."""
        command = [sys.executable, "-m", "gateway", "dev", "--json"]
        command += ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        self._announce(len(self.lives))
        self.lives.append(Life(time.time()))
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"GATEWAY_API_TOKEN": TOKEN},
            )

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended by itself: {self.told()[-3000:]}"
        self._process.send_signal(signal.SIGKILL)
        self._end(killed=True)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._end(killed=False)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._end(killed=True)

    def told(self) -> str:
        """What all its processes wrote to stderr."""
        return self._log.read_text() if self._log.exists() else ""

    def ask(self, method: str, path: str, body: object = None, *, content_type: str = "application/json"):
        """Status and answer, parsed where it is JSON; OSError or HTTPException where it is dead."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            is_json = "json" in (answer.headers["Content-Type"] or "")
            return answer.status, json.loads(text) if is_json and text else text.decode(errors="replace")
        finally:
            connection.close()

    def _end(self, *, killed: bool) -> int:
        assert self._process is not None
        code = self._process.wait(timeout=60)
        self.lives[-1].ended, self.lives[-1].killed = time.time(), killed
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code
