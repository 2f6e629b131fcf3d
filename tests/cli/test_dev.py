"""`dev` and `serve` as processes: started, found, killed, resumed, refused, ended."""

import base64
import json
import os
import re
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def redis_pid(url: str) -> int:
    with Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])


def test_it_says_where_everything_is_and_answers_there(dev: Any) -> None:
    said = dev.said
    assert set(said) == {"url", "redis_url", "stream", "token", "data_dir", "pid"}
    assert httpx.get(said["url"] + "/healthz").status_code == 200
    answer = httpx.get(said["url"] + "/v1/events", headers={"Authorization": f"Bearer {said['token']}"})
    assert answer.status_code == 200
    with Redis.from_url(said["redis_url"]) as client:
        assert client.ping()
    assert said["stream"] == "letta.events"
    assert (dev.data_dir / "token").read_text().strip() == said["token"]


def test_only_its_owner_can_read_what_it_writes(dev: Any) -> None:
    assert dev.data_dir.stat().st_mode & 0o077 == 0
    for name in ("token", "secret_keys", "gateway.json"):
        assert (dev.data_dir / name).stat().st_mode & 0o077 == 0
    assert dev.said["token"] not in (dev.data_dir / "gateway.json").read_text()


def test_it_writes_only_under_its_data_directory(dev: Any) -> None:
    beside = {path.name for path in dev.data_dir.parent.iterdir()}
    assert beside == {dev.data_dir.name}
    assert list(dev.process.stderr.parent.iterdir()) == [dev.process.stderr]


def test_for_people_it_prints_what_to_do_next(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("dev", "--port", "0", "--data-dir", str(tmp_path))
    while "letta-emitter run" not in process.line():
        pass
    text = "".join(process.lines)
    for what in (r"API +http://127\.0\.0\.1:\d+", r"Redis +redis://127\.0\.0\.1:\d+/0", r"token +lgw_"):
        assert re.search(what, text)
    assert f"letta-gateway tail --data-dir {tmp_path}" in text
    assert "\x1b" not in text
    assert process.end(signal.SIGINT) == 0
    assert "Traceback" not in process.stderr.read_text()


def test_for_machines_each_line_of_its_log_is_json_also_that_it_is_ready(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    env = {"GATEWAY_LOG_FORMAT": "json", "GATEWAY_STREM": "x"}
    process = start("dev", "--port", "0", "--data-dir", str(tmp_path), env=env)
    while "letta-emitter run" not in process.line():
        pass
    assert process.end(signal.SIGINT) == 0
    told = [json.loads(line)["message"] for line in process.stderr.read_text().splitlines()]
    assert any("GATEWAY_STREM" in message for message in told)
    assert any("letta-gateway is ready" in message for message in told)


def test_sigterm_ends_it_and_its_redis_and_takes_its_address_back(
    start_dev: Callable[..., Any], command: Any, tmp_path: Path
) -> None:
    dev = start_dev(tmp_path)
    pid = redis_pid(dev.said["redis_url"])
    assert dev.process.end(signal.SIGTERM) == 0
    assert gone(pid)
    assert "Traceback" not in dev.process.stderr.read_text()
    result = command("events", "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert "No gateway runs" in result.stderr


def test_after_kill_9_it_goes_on_with_the_same_log_token_and_redis(
    start_dev: Callable[..., Any], command: Any, tmp_path: Path
) -> None:
    where = ("--data-dir", str(tmp_path))
    emit = ("emit", "com.example.kept", "--source", "https://example/k", "--data", "1")
    first = start_dev(tmp_path)
    made = json.loads(
        command("subscriptions", "create", "--sink", "http://127.0.0.1:9/", "--json", *where).stdout
    )
    assert command(*emit, *where).returncode == 0
    old_redis = redis_pid(first.said["redis_url"])
    first.process.end(signal.SIGKILL)
    assert not gone(old_redis)
    killed = command("events", *where)
    assert killed.returncode == 1
    assert "does not answer" in killed.stderr

    second = start_dev(tmp_path)
    assert gone(old_redis)
    assert second.said["redis_url"] == first.said["redis_url"]
    assert second.said["token"] == first.said["token"]
    assert command(*emit, *where).returncode == 0
    deadline = time.monotonic() + 20
    while len(kept := command("events", "--json", *where).stdout.splitlines()) < 2:
        assert time.monotonic() < deadline, kept
    listed = command("subscriptions", "list", "--json", *where).stdout
    assert json.loads(listed)["id"] == made["id"]
    assert second.process.end() == 0
    verified = command("verify-log", "--json", *where)
    assert verified.returncode == 0
    assert json.loads(verified.stdout)["ok"] is True


def test_a_second_one_on_the_same_directory_says_who_has_it(command: Any, dev: Any) -> None:
    result = command("dev", "--port", "0", "--data-dir", str(dev.data_dir))
    assert result.returncode == 1
    assert str(dev.said["pid"]) in result.stderr
    assert dev.said["url"] in result.stderr
    assert httpx.get(dev.said["url"] + "/healthz").status_code == 200
    assert (dev.data_dir / "gateway.json").exists()


@pytest.mark.parametrize("name", ["migrate", "verify-log", "rebuild"])
def test_what_opens_the_database_says_that_a_gateway_has_it(command: Any, dev: Any, name: str) -> None:
    result = command(name, "--data-dir", str(dev.data_dir))
    assert result.returncode == 1
    assert f"in use by process {dev.said['pid']}" in result.stderr


def test_migrate_makes_a_database_that_verifies(command: Any, tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path / "new"))
    assert command("verify-log", *where).returncode == 1
    assert command("migrate", *where).returncode == 0
    assert command("migrate", *where).returncode == 0
    assert command("verify-log", *where).returncode == 0


PROJECTIONS = ("subscription", "subscription_revision", "delivery_cursor", "pending", "replay", "shard")


def projections(data_dir: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(data_dir / "gateway.db") as database:
        found = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in PROJECTIONS}  # noqa: S608
    database.close()
    return found


def test_rebuild_changes_nothing_and_brings_back_what_was_lost(
    start_dev: Callable[..., Any], command: Any, tmp_path: Path
) -> None:
    where = ("--data-dir", str(tmp_path))
    dev = start_dev(tmp_path)
    for sink in ("http://127.0.0.1:9/a", "http://127.0.0.1:9/b"):
        create = ("subscriptions", "create", "--sink", sink, "--type", "com.example.n", "--json")
        made = json.loads(command(*create, *where).stdout)
    assert command("subscriptions", "pause", made["id"], *where).returncode == 0
    emit = ("emit", "com.example.n", "--source", "https://example/n", "--data", "1")
    assert command(*emit, *where).returncode == 0
    deadline = time.monotonic() + 20
    while "pending" not in command("deliveries", "list", "--event", "4", *where).stdout:
        assert time.monotonic() < deadline
    assert dev.process.end() == 0

    first = command("rebuild", "--json", *where)
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)
    assert (said["subscriptions"], said["deleted"], said["pending"]) == (2, 0, 1)
    whole = projections(tmp_path)
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        for name in ("subscription", "delivery_cursor", "pending"):
            database.execute(f"DELETE FROM {name}")  # noqa: S608
    database.close()
    assert "2 subscriptions" in command("rebuild", *where).stdout
    assert projections(tmp_path) == whole

    second = start_dev(tmp_path)
    states = [
        json.loads(line) for line in command("subscriptions", "list", "--json", *where).stdout.splitlines()
    ]
    assert [(one["state"], one["sink"][-1]) for one in states] == [("active", "a"), ("paused", "b")]
    assert second.process.end() == 0
    (tmp_path / "secret_keys").unlink()
    without = command("rebuild", *where)
    assert without.returncode == 1
    assert "GATEWAY_SECRET_KEYS" in without.stderr


def test_a_log_that_was_changed_is_found_out(
    start_dev: Callable[..., Any], command: Any, tmp_path: Path
) -> None:
    where = ("--data-dir", str(tmp_path))
    dev = start_dev(tmp_path)
    for number in range(3):
        emit = ("emit", "com.example.n", "--source", "https://example/n", "--data", str(number))
        assert command(*emit, *where).returncode == 0
    deadline = time.monotonic() + 20
    while len(command("events", "--json", *where).stdout.splitlines()) < 3:
        assert time.monotonic() < deadline
    assert dev.process.end() == 0
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("UPDATE log_entry SET type = 'com.example.forged' WHERE position = 2")
    database.close()
    result = command("verify-log", "--json", *where)
    assert result.returncode == 1
    assert json.loads(result.stdout)["first_bad"] == 2
    assert "position 2" in result.stderr


def test_a_taken_port_is_told_before_anything_is_started(command: Any, dev: Any, tmp_path: Path) -> None:
    port = str(httpx.URL(dev.said["url"]).port)
    result = command("dev", "--port", port, "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert f"127.0.0.1:{port} is taken" in result.stderr
    assert not (tmp_path / "redis").exists()


def test_wrong_settings_are_named_all_at_once(command: Any, tmp_path: Path) -> None:
    env = {
        "GATEWAY_DELIVERY_TIMEOUT": "16",
        "GATEWAY_UNKNOWN_TYPES": "maybe",
        "GATEWAY_API_TOKEN": "hunter2 ",
    }
    result = command("dev", "--data-dir", str(tmp_path / "data"), env=env)
    assert result.returncode == 2
    for name in env:
        assert name in result.stderr
    assert "at most 15" in result.stderr
    assert "hunter2" not in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_misspelled_setting_is_warned_about(start_dev: Callable[..., Any], tmp_path: Path) -> None:
    dev = start_dev(tmp_path, GATEWAY_STREM="x")
    assert "GATEWAY_STREM" in dev.process.stderr.read_text()
    assert dev.process.end() == 0


def test_a_token_and_a_stream_of_the_environment_hold(
    start_dev: Callable[..., Any], command: Any, tmp_path: Path
) -> None:
    dev = start_dev(tmp_path, GATEWAY_API_TOKEN="mine", GATEWAY_STREAM="my.events")
    assert dev.said["token"] == "mine"
    assert dev.said["stream"] == "my.events"
    without = command("subscriptions", "list", "--data-dir", str(tmp_path))
    assert without.returncode == 2
    assert "GATEWAY_API_TOKEN" in without.stderr
    env = {"GATEWAY_API_TOKEN": "mine"}
    assert command("subscriptions", "list", "--data-dir", str(tmp_path), env=env).returncode == 0
    assert dev.process.end() == 0


def test_development_binds_loopback_only(command: Any, tmp_path: Path) -> None:
    result = command("dev", "--host", "0.0.0.0", "--data-dir", str(tmp_path))  # noqa: S104 - refused
    assert result.returncode == 2
    assert "loopback" in result.stderr


def test_serve_wants_its_environment_named(command: Any) -> None:
    result = command("serve")
    assert result.returncode == 2
    assert "GATEWAY_ENV" in result.stderr


def test_serve_in_production_names_all_it_lacks(command: Any) -> None:
    result = command("serve", env={"GATEWAY_ENV": "production"})
    assert result.returncode == 2
    for name in ("GATEWAY_REDIS_URL", "GATEWAY_API_TOKEN", "GATEWAY_SECRET_KEYS", "GATEWAY_PUBLIC_URL"):
        assert name in result.stderr


def test_serve_in_production_takes_https_sinks_only(
    start: Callable[..., Any], make_valkey: Callable[[], Any], command: Any, tmp_path: Path
) -> None:
    valkey = make_valkey()
    valkey.start()
    token = secrets.token_urlsafe(32)
    env = {
        "GATEWAY_ENV": "production",
        "GATEWAY_REDIS_URL": valkey.url,
        "GATEWAY_API_TOKEN": token,
        "GATEWAY_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "GATEWAY_PUBLIC_URL": "https://hooks.test",
    }
    process = start("serve", "--port", "0", "--data-dir", str(tmp_path), "--json", env=env)
    said = json.loads(process.line())
    asking = {"GATEWAY_URL": said["url"], "GATEWAY_API_TOKEN": token}
    refused = command("subscriptions", "create", "--sink", "http://93.184.216.34/", env=asking)
    assert (refused.returncode, "/sink" in refused.stderr) == (1, True)
    for sink in ("https://127.0.0.1/", "https://10.0.0.1/"):  # no network is open by itself
        assert command("subscriptions", "create", "--sink", sink, env=asking).returncode == 1
    taken = command("subscriptions", "create", "--sink", "https://93.184.216.34/", env=asking)
    assert taken.returncode == 0
    assert not {path.name for path in tmp_path.iterdir()} & {"redis", "token", "secret_keys"}
    assert process.end() == 0
    assert token not in "".join(process.lines) + process.stderr.read_text()


def test_serve_runs_on_a_redis_of_ones_own(
    start: Callable[..., Any], make_valkey: Callable[[], Any], command: Any, tmp_path: Path
) -> None:
    valkey = make_valkey()
    valkey.start()
    env = {"GATEWAY_ENV": "development", "GATEWAY_REDIS_URL": valkey.url}
    process = start("serve", "--role", "all", "--port", "0", "--data-dir", str(tmp_path), "--json", env=env)
    said = json.loads(process.line())
    assert said["redis_url"] == valkey.url
    assert "token" not in said
    assert not (tmp_path / "redis").exists()
    assert command("subscriptions", "list", "--data-dir", str(tmp_path)).returncode == 0
    assert process.end() == 0
    assert redis_pid(valkey.url)


def test_a_data_directory_that_cannot_be_one_is_told(command: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (("dev", "--port", "0"), ("migrate",), ("verify-log",), ("rebuild",)):
        result = command(*arguments, "--data-dir", str(tmp_path / "file" / "below"))
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        assert "file" in result.stderr


def test_ctrl_c_in_a_terminal_reaches_the_gateway_and_not_its_redis_first(
    start_dev: Callable[..., Any], tmp_path: Path
) -> None:
    dev = start_dev(tmp_path)
    assert os.getpgid(redis_pid(dev.said["redis_url"])) != os.getpgid(dev.said["pid"])
    os.killpg(os.getpgid(dev.said["pid"]), signal.SIGINT)
    assert dev.process.popen.wait(timeout=30) == 0
    assert "Traceback" not in dev.process.stderr.read_text()


def test_ctrl_c_while_it_starts_is_no_traceback(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("dev", "--port", "0", "--data-dir", str(tmp_path))
    lock = tmp_path / "lock"
    deadline = time.monotonic() + 20
    while not lock.exists():
        assert time.monotonic() < deadline
    process.end(signal.SIGINT)
    assert "Traceback" not in process.stderr.read_text()
    assert not (tmp_path / "gateway.json").exists()
