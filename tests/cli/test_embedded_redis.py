"""The embedded Redis on its own: what it keeps through restarts, kills, long paths and taken ports."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.embedded_redis import embedded_redis
from gateway.adapters.lockfile import try_lock
from gateway.errors import DataDirInUse, DataDirUnusable, EmbeddedRedisFailed

HOLDER = """
import asyncio, sys
from pathlib import Path
from gateway.adapters.embedded_redis import embedded_redis

async def hold():
    async with embedded_redis(Path(sys.argv[1])) as redis:
        print(redis.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True  # it ended between the two looks


def until(condition: Callable[[], bool], *, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def test_data_and_port_survive_a_restart_and_nothing_is_left_running(tmp_path: Path) -> None:
    async def run() -> tuple[str, str, int]:
        async with embedded_redis(tmp_path) as first:
            with Redis.from_url(first.url) as client:
                client.xadd("letta.events", {"event": "1"})
                settings = client.config_get("*")
                pid = client.info("server")["process_id"]
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["bind"] == "127.0.0.1"
        assert settings["save"] == ""
        async with embedded_redis(tmp_path) as second:
            with Redis.from_url(second.socket_url) as client:
                assert client.xlen("letta.events") == 1
        return first.url, second.url, pid

    first, second, pid = asyncio.run(run())
    assert first == second
    assert gone(pid)
    assert not (tmp_path / "redis" / "redis.sock").exists()


def test_a_server_left_by_kill_9_is_ended_and_its_data_and_port_taken_over(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    url = holder.stdout.readline().strip()
    with Redis.from_url(url) as client:
        client.set("acknowledged", "yes")
        pid = client.info("server")["process_id"]
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=10)
    holder.stdout.close()
    assert not gone(pid)

    async def run() -> None:
        async with embedded_redis(tmp_path) as redis:
            assert redis.url == url
            assert gone(pid)
            with Redis.from_url(redis.url) as client:
                assert client.get("acknowledged") == b"yes"

    asyncio.run(run())


def test_a_killed_server_comes_back_on_the_same_port_with_its_data(tmp_path: Path) -> None:
    async def run() -> None:
        async with embedded_redis(tmp_path) as redis:
            with Redis.from_url(redis.url) as client:
                client.set("acknowledged", "yes")
                pid = client.info("server")["process_id"]
            os.kill(pid, signal.SIGKILL)

            def back() -> bool:
                try:
                    with Redis.from_url(redis.url) as client:
                        return bool(client.get("acknowledged") == b"yes")
                except RedisError:
                    return False

            await asyncio.to_thread(until, back)

    asyncio.run(run())


@pytest.mark.parametrize("moment", ["ended", "listening", "answering"])
def test_leaving_while_it_is_started_again_leaves_nothing_running(tmp_path: Path, moment: str) -> None:
    pids: list[int] = []

    def reached(url: str, old: int) -> bool:
        if moment == "ended":
            return gone(old)
        port = int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return moment == "listening" or connection.recv(5) == b"+PONG"
        except OSError:
            return False

    async def run() -> None:
        async with embedded_redis(tmp_path) as redis:
            with Redis.from_url(redis.url) as client:
                pids.append(client.info("server")["process_id"])
            os.kill(pids[0], signal.SIGKILL)
            await asyncio.to_thread(until, lambda: reached(redis.url, pids[0]))

    for _ in range(3):
        pids.clear()
        asyncio.run(asyncio.wait_for(run(), timeout=30))
        lock = try_lock(tmp_path / "redis" / "lock")
        assert lock is not None, "a server still holds the lock that it inherited"
        os.close(lock)


def test_a_data_directory_with_a_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    data_dir = tmp_path / ("d" * 120)

    async def run() -> None:
        async with embedded_redis(data_dir) as redis:
            path = Path(redis.socket_url.removeprefix("unix://").partition("?")[0])
            assert len(os.fsencode(path)) < 104
            assert path.parent.stat().st_mode & 0o777 == 0o700
            with Redis.from_url(redis.socket_url) as client:
                assert client.ping()
        assert not path.parent.exists()

    asyncio.run(run())


def test_a_port_that_somebody_took_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with embedded_redis(tmp_path) as first:
            port = int(first.url.rsplit(":", 1)[1].split("/")[0])
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", port))
            stranger.listen()
            async with embedded_redis(tmp_path) as second:
                assert second.url != first.url
                with Redis.from_url(second.url) as client:
                    assert client.ping()

    asyncio.run(run())


def test_a_second_gateway_never_ends_the_first_ones_redis(tmp_path: Path) -> None:
    async def run() -> None:
        async with embedded_redis(tmp_path) as first:
            with pytest.raises(DataDirInUse):
                async with embedded_redis(tmp_path):
                    pass
            with Redis.from_url(first.url) as client:
                assert client.ping()

    asyncio.run(run())


def test_a_file_in_the_place_of_its_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text("not a folder")

    async def run() -> None:
        async with embedded_redis(tmp_path):
            pass

    with pytest.raises(DataDirUnusable, match="redis"):
        asyncio.run(run())


def test_a_broken_append_only_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    async def run() -> None:
        async with embedded_redis(tmp_path):
            pass

    with pytest.raises(EmbeddedRedisFailed, match="did not come up"):
        asyncio.run(run())
