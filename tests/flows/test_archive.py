"""Archiving while a gateway serves: by the command, killed, with a full folder, read back, and replayed (S8)."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import uuid

import httpx
import pytest

MANY = 45_000
BATCH = 1_000


@pytest.fixture(params=["sqlite", "postgres"])
def place(request):
    """Settings that name a database, and what has to be done there before another process can follow a killed one."""
    if request.param == "sqlite":
        yield {}, lambda: None
        return
    server = request.getfixturevalue("postgres_server")
    name = f"archive_{uuid.uuid4().hex}"
    server.create(name)
    yield (
        {"GATEWAY_DATABASE_URL": server.url(name)},
        lambda: server.sql("UPDATE lease SET expires_at = 0", database=name),
    )
    server.drop(name)


def command(gateway, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data-dir", str(gateway.data_dir)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | gateway.env | {"GATEWAY_API_TOKEN": "flows_token_of_sixteen"} | options,
    )


def archive(gateway, *arguments):
    done = command(gateway, "archive", *arguments, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def fill(gateway, make_event, count):
    for start in range(0, count, BATCH):
        gateway.publish(*(make_event() for _ in range(min(BATCH, count - start))))


def follow(gateway, until):
    """Wait until every stream is where the log is, as far as the database says."""
    until(
        lambda: (
            gateway.client.post("/v1/archives", json={"before_position": 10**9, "dry_run": True}).json()[
                "held_by"
            ]
            == []
        )
    )


def test_from_the_command_to_a_replay_of_what_was_archived(
    make_gateway, valkey, place, sink, make_event, tmp_path, until
):
    settings, _ = place
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url, **settings).start()
    made = gateway.subscribe(sink)
    gateway.publish(*(make_event() for _ in range(50)))
    sink.wait(50)
    before = {
        item["position"]: item
        for item in gateway.client.get("/v1/events", params={"limit": 500}).json()["items"]
    }
    last = max(before)
    follow(gateway, until)
    code, [record], _ = archive(gateway, "--before", str(last), "--to", str(tmp_path / "copies"))
    assert (code, record["state"], record["events"]) == (0, "finished", 49)
    [path] = (tmp_path / "copies").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600  # it has events in it
    assert path.read_bytes() == (gateway.data_dir / "archive" / path.name).read_bytes()

    position = min(before)
    for answer in (
        gateway.client.get(f"/v1/events/{position}"),
        gateway.client.get(f"/v1/events/{position}/deliveries"),
        gateway.client.get(f"/v1/events/{position}/explain", params={"subscription": made["id"]}),
        gateway.client.get(f"/v1/subscriptions/{made['id']}/stream", params={"after": 0}),
        gateway.client.get("/v1/events/stream", params={"after": 0}),
        gateway.client.get(f"/v1/deliveries/{sink.posts[0].webhook_id}"),
        gateway.client.post(f"/v1/deliveries/{sink.posts[0].webhook_id}/retry"),
        gateway.client.post(f"/v1/subscriptions/{made['id']}/replay", json={"from_position": 1}),
        gateway.client.post(
            f"/v1/subscriptions/{made['id']}/replay", json={"from_position": 1, "dry_run": True}
        ),
        gateway.client.post("/v1/subscriptions", json={"sink": sink.url, "config": {"start": "beginning"}}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (410, "urn:letta-gateway:problem:archived"), (
            answer.text
        )
    assert gateway.client.get(f"/v1/events/{last}").status_code == 200
    for arguments in (["events", "--oldest-first"], ["events", "--until", before[last - 1]["appended_at"]]):
        listed = command(gateway, *arguments, "--json")
        assert (listed.returncode, len(listed.stdout.splitlines())) == (0, "--until" not in arguments)
        assert f"Events up to position {last - 1}, appended until" in listed.stderr
        assert "archive list" in listed.stderr
        assert "archive restore" in listed.stderr
    assert command(gateway, "events", "--type", "com.letta.gateway.archived").stderr == ""
    sought = command(gateway, "trace", before[position]["event"]["id"])
    assert sought.returncode == 1
    assert f"Events up to position {last - 1}, appended until" in sought.stderr
    pulled = gateway.client.get(f"/v1/subscriptions/{made['id']}/stream", params={"after": last - 1})
    assert len(pulled.json()) == 1

    assert archive(gateway, "restore", str(position))[0] == 0
    assert gateway.client.get(f"/v1/events/{position}").json() == before[position]
    asked = gateway.client.post(f"/v1/subscriptions/{made['id']}/replay", json={"from_position": 1})
    assert asked.status_code == 202
    sink.wait(100)
    again = {post.webhook_id for post in sink.posts[50:]}
    assert again == {post.webhook_id for post in sink.posts[:50]}
    follow(gateway, until)
    would = command(gateway, "archive", "--before", str(last), "--dry-run").stdout
    assert would == f"Would archive once more positions 1 to {last - 1}, which were put back.\n"
    assert command(gateway, "archive", "--before", "2", "--dry-run").stdout == "Would archive nothing.\n"
    short = command(gateway, "archive", "--before", str(last - 1))
    assert (short.returncode, short.stdout) == (0, "Archived up to position 0; events: 0, files: 0.\n")
    assert "ends behind what was asked for" in short.stderr
    code, [record], _ = archive(gateway, "--before", str(last))
    assert (code, record["events"], record["archived_until"]) == (0, 49, last - 1)
    assert gateway.client.get(f"/v1/events/{position}").status_code == 410
    assert gateway.stop() == 0
    verified = command(gateway, "verify-log", "--archive", str(tmp_path / "copies"), "--json")
    assert json.loads(verified.stdout)["archived"] == last - 1, verified.stderr
    rebuilt = command(gateway, "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    gateway.start()
    gateway.publish(make_event())
    sink.wait(101)


def test_killed_anywhere_in_it_the_next_one_goes_on(make_gateway, valkey, place, make_event, until):
    settings, after_kill = place
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url, **settings).start()
    fill(gateway, make_event, MANY)
    folder = gateway.data_dir / "archive"
    seen: list[str] = []

    def kill_when(condition):
        killer = threading.Thread(target=lambda: (condition(), gateway.kill()))
        killer.start()
        code, _, said = archive(gateway, "--before", str(MANY))
        killer.join()
        assert code == 1, said
        seen.append(said)
        after_kill()
        gateway.start()

    def states():
        return {item["state"] for item in gateway.client.get("/v1/archives").json()["items"]}

    conditions = (
        lambda: until(lambda: list(folder.glob("*.part"))),
        lambda: until(lambda: list(folder.glob("*.gz"))),
        lambda: until(lambda: "dropping" in states()),
    )
    for condition in conditions:
        kill_when(condition)
        running = _finished(gateway, until)
        if running is not None and running["archived_until"] >= MANY - 1:
            break
    code, _, said = archive(gateway, "--before", str(MANY))
    assert code == 0, said
    assert len(gateway.client.get("/v1/archives").json()["items"]) == 3
    assert not list(folder.glob("*.part"))
    fill(gateway, make_event, 1)
    assert gateway.stop() == 0
    verified = command(gateway, "verify-log", "--archive", str(folder))
    assert verified.returncode == 0, verified.stderr
    assert f"{MANY - 1} of them archived" in verified.stdout


def _finished(gateway, until):
    """The archiving that the process before it had begun, once this one has done it."""
    query = {"type": "com.letta.gateway.archive.requested"}
    found = gateway.client.get("/v1/events", params=query).json()["items"]
    if not found:
        return None

    def ended():
        run = gateway.client.get(f"/v1/archives/runs/{found[0]['position']}").json()
        return run if run["state"] != "running" else None

    return until(ended, within_s=60)


def test_a_folder_that_is_full_or_not_there_keeps_the_log_as_it_is(
    make_gateway, valkey, make_event, tmp_path
):
    (tmp_path / "file").write_text("no folder")
    gateway = make_gateway(
        GATEWAY_REDIS_URL=valkey.url, GATEWAY_ARCHIVE_DIR=str(tmp_path / "file" / "archive")
    ).start()
    fill(gateway, make_event, 20)
    code, _, said = archive(gateway, "--before", "15")
    assert code == 1
    assert os.strerror(errno.ENOTDIR) in said
    assert gateway.client.get("/v1/events/1").status_code == 200
    assert gateway.stop() == 0
    gateway.env["GATEWAY_ARCHIVE_DIR"] = str(tmp_path / "folder")
    gateway.start()
    code, [record], _ = archive(gateway, "--before", "15")
    assert (code, record["archived_until"]) == (0, 14)


def test_ctrl_c_ends_the_command_and_not_the_archiving(make_gateway, valkey, make_event, until):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    fill(gateway, make_event, 5_000)
    done = subprocess.Popen(
        [sys.executable, "-m", "gateway", "archive", "--before", "5000", "--data-dir", str(gateway.data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GATEWAY_API_TOKEN": "flows_token_of_sixteen"},
    )
    until(lambda: gateway.facts("archive.requested") or done.poll() is not None)
    done.send_signal(signal.SIGINT)
    _, said = done.communicate(timeout=60)
    assert "Traceback" not in said
    until(lambda: gateway.client.get("/v1/events/1").status_code == 410)


def test_it_is_the_administrators(make_gateway, valkey):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    token = gateway.client.post("/v1/tokens", json={"organization": "org-1"}).json()["token"]
    answer = httpx.get(f"{gateway.said['url']}/v1/archives", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
