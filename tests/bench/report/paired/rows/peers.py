"""What users would pick instead: enqueue to last receipt, one worker process, same receiver, body and signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from paired.environments import PEERS, node_folder_of, python_of
from paired.messages import Messages
from paired.processes import Spoken, cpu_of_tree_s, cpu_s, running, until_idle
from paired.receiver import ReceiptsMissingError, check_signatures
from paired.run import AT_ONCE, Run
from paired.valkey import Valkey, valkey

_WARM_UP = 256
_JIT_WARM_UP = 4_000
_WARM_UP_S_MAX = 5.0
_WARM_UPS_MAX = 10
_TASKS = f"--max-async-tasks={AT_ONCE}"
_THREADS = f"--threads={AT_ONCE}"
_PROCESSES = f"--concurrency={AT_ONCE}"


@dataclass(frozen=True)
class Commands:
    """How a peer's two programs are started, and where."""

    worker: Sequence[str]
    enqueue: Sequence[str]
    folder: Path


@dataclass(frozen=True)
class Peer:
    """One peer.

    Attributes:
        share: The part of the run's events it is given, so that a slow one does not take all the time.
        warm_up: Jobs before the clock runs; many where a compiler has to see the code at work first.
        python: Whether it is one of those that a Python shop would choose.
        how: What was chosen, and why, in words for the report.
    """

    name: str
    title: str
    how: str
    commands: Callable[[], Commands]
    share: float = 1.0
    python: bool = True
    warm_up: int = _WARM_UP

    def __call__(self, run: Run) -> dict[str, float]:
        """Measure it once."""
        return _measure(self, run)


def _measure(peer: Peer, run: Run) -> dict[str, float]:
    count = max(100, int(run.events * peer.share))
    commands = peer.commands()
    with (
        run.place() as folder,
        valkey(folder) as server,
        _at_work(commands, run, server, folder) as (worker, enqueuer),
    ):
        messages = Messages(run.tag, run.body_bytes).write(folder / "messages.ndjson", count)
        _warm_up(run, peer.warm_up, folder, worker, enqueuer)
        _load(enqueuer, messages)
        until_idle(worker.pid)
        run.receiver.expect(count)
        cpu, redis_cpu = cpu_of_tree_s(worker.pid), cpu_s(server.pid)
        enqueuer.tell("go")
        begin_us = enqueuer.hear(run.within_s(count))["begin_us"]
        receipts = run.receiver.wait(run.within_s(count))
        until_idle(worker.pid)
        return {
            "deliveries_per_s": count / (receipts.last_us - begin_us) * 1e6,
            "cpu_us": (cpu_of_tree_s(worker.pid) - cpu) / count * 1e6,
            "redis_cpu_us": (cpu_s(server.pid) - redis_cpu) / count * 1e6,
            "signatures_checked": check_signatures(receipts, run.secret),
            "events": count,
        }


@contextmanager
def _at_work(commands: Commands, run: Run, server: Valkey, folder: Path) -> Iterator[tuple[Spoken, Spoken]]:
    environment = {
        "BENCH_REDIS_URL": server.url,
        "BENCH_SINK": run.receiver.sink(),
        "BENCH_SECRET": run.secret,
        "BENCH_AT_ONCE": str(run.at_once),
        "PYTHONPATH": str(PEERS / "shared"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    log = folder / "peer.log"
    with (
        running(
            commands.worker, log=log, environment=environment, folder=commands.folder, heard=False
        ) as worker,
        running(commands.enqueue, log=log, environment=environment, folder=commands.folder) as enqueuer,
    ):
        yield worker, enqueuer


def _warm_up(run: Run, count: int, folder: Path, worker: Spoken, enqueuer: Spoken) -> None:
    """Enqueue until it is all delivered: some workers see only what comes after they are ready."""
    for number in range(_WARM_UPS_MAX):
        messages = Messages(90_000_000 + run.tag * _WARM_UPS_MAX + number, run.body_bytes)
        _load(enqueuer, messages.write(folder / "warm-up.ndjson", count))
        run.receiver.expect(count)
        enqueuer.tell("go")
        enqueuer.hear()
        worker.check()
        try:
            run.receiver.wait(_WARM_UP_S_MAX + count / 100)
        except ReceiptsMissingError:
            if number == _WARM_UPS_MAX - 1:
                raise
            continue
        run.receiver.until_quiet()
        return


def _load(enqueuer: Spoken, messages: Path) -> None:
    enqueuer.tell(str(messages))
    enqueuer.hear()


def _python(peer: str, *worker: str) -> Callable[[], Commands]:
    def commands() -> Commands:
        python = python_of(peer)
        program = python.with_name(worker[0])
        return Commands([str(program), *worker[1:]], [str(python), "enqueue.py"], PEERS / peer)

    return commands


def _bullmq() -> Commands:
    return Commands(["node", "worker.mjs"], ["node", "enqueue.mjs"], node_folder_of("bullmq"))


PEERS_MEASURED = (
    Peer(
        "bullmq",
        "BullMQ + undici (Node)",
        "`Worker` with `concurrency`, `addBulk` of 500, done jobs removed; an undici `Pool` of as many connections",
        _bullmq,
        python=False,
        warm_up=_JIT_WARM_UP,
    ),
    Peer(
        "faststream",
        "FastStream + aiohttp",
        "Redis Streams with a consumer group and `max_workers`, published through a pipeline; one `ClientSession`",
        _python("faststream", "faststream", "run", "worker:app"),
        share=0.5,
    ),
    Peer(
        "taskiq",
        "taskiq + aiohttp",
        "`RedisStreamBroker`, `--workers 1`, `--max-async-tasks`; one `ClientSession`",
        _python("taskiq", "taskiq", "worker", "worker:broker", "--workers=1", "--log-level=WARNING", _TASKS),
        share=0.5,
    ),
    Peer(
        "dramatiq",
        "Dramatiq + requests",
        "`RedisBroker`, `--processes 1`, `--threads`; a `Session` for each thread",
        _python("dramatiq", "dramatiq", "worker", "--processes=1", _THREADS),
        share=0.25,
    ),
    Peer(
        "celery",
        "Celery + requests",
        "the default pool (prefork), `--concurrency`, results ignored, `worker_prefetch_multiplier` 128 as for short "
        "tasks; a `Session` for each process",
        _python("celery", "celery", "--app=worker", "worker", "--loglevel=WARNING", _PROCESSES),
        share=0.25,
    ),
    Peer(
        "arq",
        "arq + httpx",
        "`max_jobs`, no results kept; one `AsyncClient` in the context, as the documentation begins",
        _python("arq", "arq", "worker.WorkerSettings"),
        share=0.1,
    ),
)
