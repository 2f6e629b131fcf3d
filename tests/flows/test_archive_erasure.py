"""Erasing where archives are not as they should be: the command says which, why, and fails (S8b)."""

import gzip
import json
import os
import subprocess
import sys

import pytest

AGENT = "agent-that-is-forgotten"


@pytest.fixture
def gateway(make_gateway, valkey):
    return make_gateway(GATEWAY_REDIS_URL=valkey.url).start()


def command(gateway, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data-dir", str(gateway.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env=os.environ | gateway.env | {"GATEWAY_API_TOKEN": gateway.client.headers["Authorization"][7:]},
    )
    assert "Traceback" not in done.stderr
    return done


def test_what_could_not_be_looked_through_is_named_and_is_a_failure(gateway, make_letta_event):
    for _ in range(2):
        last = gateway.publish(*(make_letta_event(AGENT) for _ in range(10)))[-1]
        assert command(gateway, "archive", "--before", str(last + 1)).returncode == 0
    first, second = sorted((gateway.data_dir / "archive").iterdir())
    kept = {path: path.read_bytes() for path in (first, second)}
    first.unlink()
    second.write_bytes(kept[second][:-20])
    would = command(gateway, "erase", "--agent", AGENT, "--dry-run")
    assert would.stdout.startswith("Would erase at least 0 events"), would.stdout
    assert "what 2 archives have of it" in would.stdout

    done = command(gateway, "erase", "--agent", AGENT, "--yes", "--json")
    record = json.loads(done.stdout)
    assert (done.returncode, record["state"]) == (1, "incomplete")
    assert [(item["file"], item["why"]) for item in record["unreachable"]] == [
        (first.name, "missing"),
        (second.name, "damaged"),
    ]
    assert f"{first.name} is not in the folder of the archives" in done.stderr
    assert f"{second.name} cannot be read: it ends before its end" in done.stderr
    assert "erase once more" in done.stderr

    for path, content in kept.items():
        path.write_bytes(content)
    done = command(gateway, "erase", "--agent", AGENT, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Erased: 20 events")
    assert not any(AGENT.encode() in gzip.decompress(path.read_bytes()) for path in kept)


def test_after_a_restore_from_a_backup_the_files_made_since_are_erased_from_too(gateway, make_letta_event):
    *_, last = gateway.publish(*(make_letta_event(agent) for agent in (AGENT, "agent-that-stays") * 5))
    assert gateway.stop() == 0
    database = gateway.data_dir / "gateway.db"
    backup = database.read_bytes()
    gateway.start()
    assert command(gateway, "archive", "--before", str(last + 1)).returncode == 0
    assert gateway.stop() == 0
    for left in gateway.data_dir.glob("gateway.db-*"):
        left.unlink()
    database.write_bytes(backup)
    gateway.start()

    done = command(gateway, "erase", "--agent", AGENT, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Erased: 5 events")
    assert "1 archives were rewritten" in done.stderr
    [path] = (gateway.data_dir / "archive").iterdir()
    content = gzip.decompress(path.read_bytes())
    assert (AGENT.encode() in content, b"agent-that-stays" in content) == (False, True)
    assert gateway.stop() == 0
    assert gateway.verify_log().returncode == 0
