import os
import threading

import pytest

from gateway.adapters.randomness import PooledRandom


@pytest.mark.parametrize("size", [0, 1, 8, 16, 26, 64, 65, 10_000])
def test_as_many_bytes_as_asked_for(size: int) -> None:
    random = PooledRandom()
    assert {len(random(size)) for _ in range(1_100)} == {size}


def test_nothing_is_given_out_twice() -> None:
    random, found = PooledRandom(), [set[bytes](), set[bytes]()]

    def draw(into: set[bytes]) -> None:
        into.update(random(16) for _ in range(20_000))

    threads = [threading.Thread(target=draw, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found[0] | found[1]) == 40_000


def test_a_child_has_bytes_of_its_own() -> None:
    random = PooledRandom()
    random(16)
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writes, random(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 16) != random(16)
    os.close(reads)
    os.close(writes)
