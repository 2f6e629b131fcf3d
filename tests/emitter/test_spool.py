from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
import time

import pytest

from letta_emitter import frames, quick
from letta_emitter.errors import EventTooLargeError, SpoolFullError, SpoolUnwritableError
from letta_emitter.folder import Folder
from letta_emitter.progress import Mark
from letta_emitter.reader import MainReader, SideReader
from letta_emitter.spool import Spool

MIB = 1024 * 1024


def body(number: int, size: int = 100) -> bytes:
    return json.dumps({"id": str(number), "data": "x" * size}).encode()


@pytest.fixture
def folder(spool_dir):
    return Folder(spool_dir)


@pytest.fixture
def spool(folder):
    return Spool(folder, bytes_max=64 * MIB)


def ids(folder: Folder) -> list[int]:
    reader = MainReader(folder, Mark())
    try:
        return [int(json.loads(record.payload)["id"]) for record in reader.read(10**6, 10**9)]
    finally:
        reader.close()


@contextlib.contextmanager
def locked(path):
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_s9c_sequence_is_the_first_member_and_twenty_digits_that_grow(folder, spool):
    before = time.time_ns()
    for number in range(100):
        spool.append(body(number))
    records = MainReader(folder, Mark()).read(1000, MIB)
    texts = [json.loads(record.payload)["sequence"] for record in records]
    assert [len(text) for text in texts] == [20] * 100
    assert texts == sorted(set(texts))
    assert before <= int(texts[0]) <= time.time_ns()
    assert [record.sequence for record in records] == [int(text) for text in texts]


def test_s9c_sequence_grows_when_the_clock_goes_back(folder, spool, monkeypatch):
    first = spool.append(body(1)).sequence
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    assert spool.append(body(2)).sequence == first + 1
    spool.close()
    assert Spool(folder, bytes_max=MIB).append(body(3)).sequence == first + 2


def test_a_sequence_that_is_there_already_is_kept(folder, spool):
    spool.append(b'{"sequence":"7","id":"1"}', stamped=True)
    assert MainReader(folder, Mark()).read(1, MIB)[0].payload == b'{"sequence":"7","id":"1"}'


def test_only_the_owner_can_read_it(folder, spool):
    folder.path.mkdir(mode=0o755)
    spool.append(body(1))
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}


def test_s9b_two_hands_on_one_folder_follow_each_other_over_segment_ends(folder):
    hands = [Spool(folder, bytes_max=64 * MIB, segment_bytes=4096) for _ in range(3)]
    for number in range(300):
        hands[number * 7 % 3].append(body(number))
    assert len(folder.segments()) > 5
    assert ids(folder) == list(range(300))


def test_s9b_a_hand_that_slept_finds_the_segments_behind_it_released(folder):
    sleeper, other = (Spool(folder, bytes_max=64 * MIB, segment_bytes=4096) for _ in range(2))
    sleeper.append(body(0))
    for number in range(1, 300):
        other.append(body(number))
    newest = folder.segments()[-1]
    for number in folder.segments()[:-1]:
        folder.segment(number).unlink()
    sleeper.append(body(300))
    assert folder.segments() == [newest]
    assert ids(folder)[-1] == 300


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_s9b_a_torn_tail_is_cut_by_the_next_writer(folder, spool, cut):
    for number in range(3):
        spool.append(body(number))
    path = folder.segment(1)
    os.truncate(path, path.stat().st_size - cut)
    spool.append(body(3))
    assert ids(folder) == [0, 1, 3]
    assert spool.torn_bytes > 0


def test_s9b_a_torn_tail_waits_for_the_next_writer_and_does_not_stop_the_reader(folder, spool):
    spool.append(body(0))
    with folder.segment(1).open("ab") as file:
        file.write(frames.encode(frames.Kind.RECORD, 1, body(1))[:-5])
    reader = MainReader(folder, Mark())
    assert len(reader.read(10, MIB)) == 1
    assert reader.read(10, MIB) == []
    spool.append(body(2))
    assert [json.loads(record.payload)["id"] for record in reader.read(10, MIB)] == ["2"]
    assert reader.damaged == 0


def test_s9b_a_writer_that_dies_before_its_segment_has_a_header_loses_no_sequence(folder):
    writer = Spool(folder, bytes_max=64 * MIB, segment_bytes=4096)
    last = [writer.append(body(number)).sequence for number in range(40)][-1]
    number = folder.segments()[-1]
    with folder.segment(number).open("ab") as file:
        file.write(frames.encode(frames.Kind.END, last))
    folder.segment(number + 1).write_bytes(frames.header(last)[:9])
    assert Spool(folder, bytes_max=64 * MIB).append(body(40)).sequence > last
    assert ids(folder) == list(range(41))


def test_damage_in_the_middle_costs_one_record_and_is_counted(folder, spool):
    for number in range(5):
        spool.append(body(number))
    spool.close()
    content = bytearray(folder.segment(1).read_bytes())
    content[content.index(b'"id": "2"') + 3] ^= 0xFF
    folder.segment(1).write_bytes(content)
    reader = MainReader(folder, Mark())
    assert [json.loads(record.payload)["id"] for record in reader.read(10, MIB)] == ["0", "1", "3", "4"]
    assert reader.damaged == 1


def test_s9b_a_busy_lock_sends_the_event_to_a_side_file_within_milliseconds(folder, spool):
    spool.append(body(0))
    with locked(folder.append_lock):
        start = time.monotonic()
        appended = spool.append(body(1))
        assert time.monotonic() - start < 0.1
        assert appended.position is None
        (side,) = folder.sides()
        reader = SideReader(side, 0)
        assert not reader.is_final()
        assert len(reader.read(10, MIB)) == 1
    assert spool.append(body(2)).position is not None
    assert reader.is_final(), "the main line is free again, so the side file was closed"
    assert reader.is_drained()
    assert ids(folder) == [0, 2]


def test_threads_share_one_hand(folder, spool):
    def work(first: int) -> None:
        for number in range(first, first + 200):
            spool.append(body(number))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ids(folder)
    for path in folder.sides():
        found += [int(json.loads(record.payload)["id"]) for record in SideReader(path, 0).read(10**6, 10**9)]
    assert len(found) == len(set(found)) == 600


def test_s9e_when_full_the_oldest_are_kept_and_there_is_room_again_later(folder):
    spool = Spool(folder, bytes_max=64 * 1024)
    for number in range(55):
        spool.append(body(number, 1000))
    with pytest.raises(SpoolFullError):
        [spool.append(body(number, 1000)) for number in range(55, 70)]
    assert folder.size_bytes() <= 64 * 1024
    kept = ids(folder)
    assert kept == list(range(len(kept)))
    for number in folder.segments()[:3]:
        folder.segment(number).unlink()
    time.sleep(0.06)  # the bound on how often a full spool is measured
    spool.append(body(2000, 1000))


def test_an_event_too_large_for_a_record_is_refused(spool):
    with pytest.raises(EventTooLargeError):
        spool.append(b"{" + b" " * frames.PAYLOAD_BYTES_MAX + b"}")


def test_a_large_event_has_a_segment_of_its_own(folder):
    spool = Spool(folder, bytes_max=64 * MIB, segment_bytes=4096)
    for number, size in enumerate([10, 3 * MIB, 10]):
        spool.append(body(number, size))
    assert ids(folder) == [0, 1, 2]


def test_a_folder_that_was_removed_is_made_again(folder, spool):
    spool.append(body(0))
    first = spool.append(body(1)).sequence
    shutil.rmtree(folder.path)
    deadline = time.monotonic() + 5
    again = 0
    while not folder.path.exists():
        assert time.monotonic() < deadline
        again = spool.append(body(2)).sequence
    assert again > first
    assert 2 in ids(folder)


def test_where_no_folder_can_be_the_error_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    spool = Spool(Folder(tmp_path / "file" / "spool"), bytes_max=MIB)
    for _ in range(2):
        with pytest.raises(SpoolUnwritableError, match="spool"):
            spool.append(body(1))


NO_SPACE_AT_ALL = """
import os, resource, signal, sys
from pathlib import Path
from letta_emitter.errors import SpoolUnwritableError
from letta_emitter.folder import Folder
from letta_emitter.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
spool = Spool(Folder(Path(sys.argv[1])), bytes_max=10**6)
refused, opened = 0, set()
for number in range(50):
    try:
        spool.append(b'{"id":"1"}')
    except SpoolUnwritableError:
        refused += 1
    opened.add(len(os.listdir("/dev/fd")))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(b'{"id":"1"}')
print(refused, len(opened))
"""


def test_without_space_for_a_file_nothing_leaks_and_it_comes_back(folder):
    found = subprocess.run(
        [sys.executable, "-c", NO_SPACE_AT_ALL, str(folder.path)], capture_output=True, text=True, check=False
    )
    assert found.stdout == "50 1\n", found.stderr
    assert ids(folder) == [1]


READ_ONLY = """
import os, sys
from pathlib import Path
from letta_emitter.errors import SpoolUnwritableError
from letta_emitter.folder import Folder
from letta_emitter.spool import Spool
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    Spool(Folder(Path(sys.argv[1])), bytes_max=10**6).append(b'{"id":"1"}')
except SpoolUnwritableError as error:
    print("refused", error)
"""


def test_without_permission_the_error_says_so(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    found = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True, check=False
    )
    assert found.stdout.startswith("refused"), found.stderr


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from letta_emitter.errors import SpoolUnwritableError
from letta_emitter.folder import Folder
from letta_emitter.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
spool = Spool(Folder(Path(sys.argv[1])), bytes_max=10**6)
taken = 0
try:
    for number in range(100):
        spool.append(b'{"id":"%d","data":"%s"}' % (number, b"x" * 300))
        taken += 1
except SpoolUnwritableError:
    print("refused", taken)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(b'{"id":"1000"}')
"""


def test_out_of_space_in_the_middle_of_a_record_leaves_no_piece_of_it(folder):
    assert resource.RLIMIT_FSIZE is not None
    found = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder.path)], capture_output=True, text=True, check=False
    )
    word, taken = found.stdout.split()
    assert word == "refused", found.stderr
    assert ids(folder) == [*range(int(taken)), 1000]


@pytest.mark.parametrize("calls", [quick.direct() or quick.plain(), quick.plain()], ids=["libc", "python"])
def test_the_calls_of_libc_and_those_of_python_do_the_same(tmp_path, calls):
    path = tmp_path / "file"
    path.write_bytes(b"")
    mine, other = (os.open(path, os.O_RDWR | os.O_APPEND) for _ in range(2))
    assert calls.write(mine, b"abc") == 3
    assert calls.write(mine, b"x" * 100_000) == 100_000
    assert calls.size(mine) == path.stat().st_size == 100_003
    assert calls.try_lock(mine)
    assert not calls.try_lock(other)
    calls.unlock(mine)
    assert calls.try_lock(other)
    os.close(mine)
    os.close(other)
    for call in (lambda: calls.write(mine, b"x"), lambda: calls.size(mine), lambda: calls.try_lock(mine)):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()
