"""The Letta server itself, unmodified, with or without the emitter attached."""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.postgres import Postgres
from harness.processes import Child, free_port

# Letta polls batches no faster than this, so a completed job takes about as long.
BATCH_POLL_S = 12


class LettaServer:
    """One server on a port of its own that can be started, killed and started again on the same data."""

    def __init__(
        self,
        *,
        python: Path,
        folder: Path,
        postgres: Postgres,
        database: str,
        model: str,
        own_redis_port: int,
        emitter: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str | Path] | None = None,
    ) -> None:
        """Prepare a server.

        `python` is the interpreter of Letta's environment, `model` the origin of the scripted one, `emitter`
        the emitter's settings, or None for Letta alone; `environment` is what else it gets, and `launcher`
        starts `letta` in another way.
        """
        self.folder = folder
        self.port = free_port()
        self.database = database
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "letta.log"
        self._python = python
        self._emitter = emitter
        self._launcher = launcher
        self.environment = {
            # Nothing of the caller's settings reaches the server, only where to find programs.
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "LETTA_DIR": str(folder / "letta"),
            "LETTA_PG_URI": postgres.uri(database),
            "LETTA_REDIS_HOST": "127.0.0.1",
            "LETTA_REDIS_PORT": str(own_redis_port),
            "LETTA_DISABLE_TRACING": "true",
            "OPENAI_API_KEY": "sk-scripted",
            "OPENAI_BASE_URL": f"{model}/v1",
            "ANTHROPIC_API_KEY": "sk-ant-scripted",
            "ANTHROPIC_BASE_URL": model,
            "LETTA_ENABLE_BATCH_JOB_POLLING": "true",
            "LETTA_POLL_RUNNING_LLM_BATCHES_INTERVAL_SECONDS": str(BATCH_POLL_S),
            **({} if "PYTHONPATH" not in os.environ else {"PYTHONPATH": os.environ["PYTHONPATH"]}),
            **(emitter or {}),
            **(environment or {}),
        }
        self._child: Child | None = None

    def start(self, *, timeout_s: float = 90) -> None:
        """Start, and return once it answers its health check."""
        assert self._child is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        letta = self._python.parent / "letta"
        arguments = ["server", "--host", "127.0.0.1", "--port", str(self.port)]
        if self._launcher is not None:
            command = [*self._launcher, *arguments]
        elif self._emitter is not None:
            command = [self._python, "-m", "letta_emitter", "run", "--", letta, *arguments]
        else:
            command = [letta, *arguments]
        self._child = Child(command, log=self.log, environment=self.environment, folder=self.folder)
        try:
            self._child.wait_for(self._healthy, "Letta", timeout_s=timeout_s)
        except BaseException:
            self.stop()
            raise

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/health/", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
            return False

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.process.pid

    def kill(self) -> None:
        """kill -9, with all its children."""
        assert self._child is not None
        self._child.kill()
        self._child = None

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None
