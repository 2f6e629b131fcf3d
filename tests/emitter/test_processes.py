"""Several processes on one spool, and what happens when they are killed."""

from __future__ import annotations

import os
import random
import time

import pytest

from letta_emitter.folder import Folder
from letta_emitter.stats import processes


def told(worker) -> list[int]:
    """The numbers the worker has printed by the time it is dead: those it had emitted for certain."""
    return [int(line) for line in worker.stdout.read().split() if line.isdigit()]


@pytest.mark.parametrize("seed", range(3))
def test_s9b_kill_in_mid_stream_loses_nothing_that_was_emitted(make_valkey, spawn, look, eventually, seed):
    server = make_valkey()
    randomness = random.Random(seed)
    if randomness.random() < 0.7:
        server.start()
    emitted: list[int] = []
    for life in range(3):
        worker = spawn(server.url, first=life * 10_000, count=5_000, pause_s=0.0002)
        for _ in range(randomness.randrange(1, 300)):
            worker.stdout.readline()
        worker.kill()
        worker.wait()
        last = life * 10_000 + max(told(worker), default=0) % 10_000
        emitted += range(life * 10_000, last + 1)
    if server._process is None:
        server.start()
    spawn(server.url)
    stream = look(server.url)
    eventually(lambda: set(emitted) <= set(stream.numbers()), timeout_s=60)
    arrived = stream.numbers()
    assert arrived == sorted(arrived), "in order, over all lives"


def test_two_processes_share_a_spool_and_one_of_them_publishes(valkey, spawn, look, eventually, spool_dir):
    first = spawn(valkey.url, first=0, count=400, pause_s=0.001)
    second = spawn(valkey.url, first=10_000, count=400, pause_s=0.001)
    for worker in (first, second):
        while worker.stdout.readline() != "done\n":
            pass
    stream = look(valkey.url)
    eventually(lambda: len(stream.numbers()) == 800)
    numbers = stream.numbers()
    roles = sorted(found["stats"]["role"] for found in processes(Folder(spool_dir)) if found["alive"])
    side = sum(found["stats"]["counters"].get("side_file", 0) for found in processes(Folder(spool_dir)))
    assert roles == ["drain", "standby"]
    if side == 0:  # order is promised for what did not go through a side file
        assert [number for number in numbers if number < 10_000] == list(range(400))
        assert [number for number in numbers if number >= 10_000] == list(range(10_000, 10_400))
    sequences = [found.attributes["sequence"] for found in stream.envelopes()]
    assert len(set(sequences)) == len(sequences)


def test_s9b_when_the_holder_is_killed_another_takes_over(valkey, spawn, look, eventually, spool_dir):
    folder = Folder(spool_dir)
    stream = look(valkey.url)
    holder = spawn(valkey.url, first=0, count=10)
    eventually(lambda: stream.count() == 10)
    assert folder.drain_lock.read_text().strip() == str(holder.pid)
    standby = spawn(valkey.url, first=100, count=10)
    eventually(lambda: stream.count() == 20)
    assert folder.drain_lock.read_text().strip() == str(holder.pid)
    holder.kill()
    eventually(lambda: folder.drain_lock.read_text().strip() == str(standby.pid))
    third = spawn(valkey.url, first=200, count=10)
    while third.stdout.readline() != "done\n":
        pass
    eventually(lambda: len(stream.numbers()) == 30)


def test_a_killed_process_leaves_its_counters_and_its_gap(make_valkey, spawn, look, eventually, make_emitter):
    server = make_valkey()
    doomed = make_emitter(server.url, spool_bytes_max=64 * 1024, retain_s=0.2)
    # In this process, but ended as by a kill: the file stays with the loss in it, and its lock is free.
    from letta_emitter.stats import Gap, StatsFile  # noqa: PLC0415

    doomed.stats.lost("org-9", "overflow")
    left = StatsFile(Folder(doomed.settings.spool_dir), doomed.stats)
    left.write()
    left.close()
    doomed.stats.take_gaps()
    server.start()
    spawn(server.url, count=1)
    stream = look(server.url)
    eventually(lambda: any(found.type == "com.letta.emitter.gap" for found in stream.envelopes()))
    (gap,) = [found for found in stream.envelopes() if found.type == "com.letta.emitter.gap"]
    assert gap.data()["organization_id"] == "org-9"
    assert Gap.__required_keys__ >= {"count", "first", "last"}


def test_a_forked_child_emits_on_its_own(valkey, make_emitter, look, event, eventually):
    emitter = make_emitter(valkey.url)
    stream = look(valkey.url)
    emitter.emit(event(0))
    eventually(lambda: stream.count() == 1)
    child = os.fork()
    if child == 0:
        try:
            emitter.emit(event(1))
            alive = emitter.stats.get("emitted") == 1
        finally:
            os._exit(0 if alive else 1)
    assert os.waitpid(child, 0)[1] == 0
    emitter.emit(event(2))
    eventually(lambda: len(stream.numbers()) == 3)
    assert stream.numbers() == [0, 1, 2]
    assert emitter.stats.get("emitted") == 2


def test_the_emitting_process_ends_quickly_with_redis_down(make_valkey, spawn):
    server = make_valkey()
    worker = spawn(server.url, count=10)
    while worker.stdout.readline() != "done\n":
        pass
    start = time.monotonic()
    worker.stdin.close()
    worker.stdin = None
    assert worker.wait(10) == 0
    assert time.monotonic() - start < 4
