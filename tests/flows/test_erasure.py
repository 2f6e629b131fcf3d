"""Erasure as an operator commands it (S8b): on the wire, on the disk, and through a kill -9."""

import json
import os
import subprocess
import sys

import pytest

MARKER = "the-word-that-must-go"
TYPE = "com.letta.agent.step.completed"


@pytest.fixture
def gateway(make_gateway):
    return make_gateway().start()


def command(gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data-dir", str(gateway.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env=os.environ | gateway.env | {"GATEWAY_API_TOKEN": gateway.client.headers["Authorization"][7:]},
    )


def erase(gateway, agent: str) -> dict:
    done = command(gateway, "erase", "--agent", agent, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def found_on_disk(gateway, *words: str) -> dict[str, int]:
    """How often the database's files have these words, anywhere in them."""
    files = [path.read_bytes() for path in gateway.data_dir.glob("gateway.db*")]
    assert files
    return {word: sum(content.count(word.encode()) for content in files) for word in words}


def step(make_letta_event, agent: str, n: int) -> dict:
    """An event that has the word in its data, its subject, its id and its run, small and large."""
    event = make_letta_event(agent, subject=f"step-{MARKER}-{n}", correlationid=f"run-{MARKER}-{n}")
    event["id"] = f"evt-{MARKER}-{n}"
    event["data"]["data"]["text"] = f"{MARKER} " * (1 + n % 5 * 300)
    return event


def deliver(gateway, sink, reply, make_letta_event):
    agent, other = "agent-that-is-forgotten", "agent-that-stays"
    gateway.subscribe(sink, types=[TYPE])
    # It says again what it was sent, in a header and in the body.
    sink.reply_by(lambda post: reply(200, {"X-Echo": post.headers["ce-subject"]}, post.body[:900]))
    events = [step(make_letta_event, agent if n % 3 else other, n) for n in range(300)]
    mine = [event for event in events if event["partitionkey"] == agent]
    for event in events:
        if event["partitionkey"] == other:
            spare(event)
    positions = [
        position for start in range(0, 300, 100) for position in gateway.publish(*events[start : start + 100])
    ]
    gateway.add(f'{{"data": "{agent} {MARKER}"'.encode())
    sink.wait(300)
    gateway.settled(positions[-1], "delivered")
    return agent, other, mine, positions


def spare(event: dict) -> None:
    """Take the word out of an event that is not to be erased."""
    whole = json.loads(json.dumps(event).replace(MARKER, "another-word"))
    event.clear()
    event.update(whole)


def derived(gateway) -> list[list[tuple]]:
    """What a rebuild makes anew, but for cursors: an idle live lane's stored one lags behind the head."""
    statements = (
        "SELECT * FROM subscription",
        "SELECT * FROM subscription_revision",
        "SELECT * FROM pending",
        "SELECT * FROM replay",
    )
    return [gateway.rows(statement) for statement in statements]


def test_nothing_of_it_is_left_on_the_disk(gateway, sink, reply, make_letta_event, until):
    agent, other, mine, positions = deliver(gateway, sink, reply, make_letta_event)
    sink.reply_by(lambda _post: None)
    until(gateway.quarantine)
    before = found_on_disk(gateway, MARKER, agent, other)
    assert min(before.values()) > 0

    counted = json.loads(command(gateway, "erase", "--agent", agent, "--dry-run", "--json").stdout)
    assert counted == {"events": len(mine), "quarantined": 1, "archives": 0}
    assert found_on_disk(gateway, MARKER)[MARKER] > 0
    done = erase(gateway, agent)
    assert (done["state"], done["events"], done["quarantined"]) == ("finished", len(mine), 1)
    assert (done["attempts"], done["rewritten"]) == (len(mine), True)

    left = found_on_disk(gateway, MARKER, agent, other)
    assert (left[MARKER], left[agent]) == (0, 0)
    assert left[other] > 0
    assert gateway.stop() == 0
    assert found_on_disk(gateway, MARKER, agent) == {MARKER: 0, agent: 0}

    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stderr
    assert f"{len(mine)} of them erased" in verified.stdout
    was = derived(gateway)
    rebuilt = command(gateway, "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert derived(gateway) == was

    gateway.start()
    repeated = gateway.publish(mine[0])
    assert repeated == [positions[1]]  # known by its source and id, and not stored again
    assert gateway.client.get(f"/v1/events/{positions[1]}").json()["event"] is None
    [later] = gateway.publish(step(make_letta_event, agent, 999))
    assert gateway.client.get(f"/v1/events/{later}").json()["event"]["partitionkey"] == agent
    assert len(sink.wait(301)) == 301


def test_after_a_kill_it_is_finished_by_the_next_process(gateway, make_letta_event, until):
    agent = "agent-killed-in-the-middle"
    for start in range(0, 4_000, 200):
        gateway.publish(*(step(make_letta_event, agent, n) for n in range(start, start + 200)))
    answer = gateway.client.post("/v1/erasures", json={"agent_id": agent})
    assert answer.status_code == 202
    path = answer.headers["Location"]

    def state():
        return gateway.client.get(path).json()

    until(lambda: state()["events"] > 0)
    gateway.kill()
    [[erased, left]] = gateway.rows(
        "SELECT events, (SELECT count(*) FROM log_entry WHERE kind = 'event' AND envelope IS NOT NULL)"
        " FROM erasure"
    )
    assert erased + left == 4_000
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stderr
    assert f"{erased} of them erased" in verified.stdout

    gateway.start()
    done = until(lambda: (found := state())["state"] == "finished" and found)
    assert done["events"] == 4_000
    assert found_on_disk(gateway, MARKER, agent) == {MARKER: 0, agent: 0}
    counts = [fact["data"]["count"] for fact in gateway.facts("erased")]
    assert sum(counts) == 4_000
    gateway.stop()
    assert gateway.verify_log().returncode == 0


def test_the_log_takes_events_while_it_erases(gateway, make_letta_event):
    for start in range(0, 6_000, 200):
        gateway.publish(*(step(make_letta_event, "agent-busy", n) for n in range(start, start + 200)))
    path = gateway.client.post("/v1/erasures", json={"agent_id": "agent-busy"}).headers["Location"]
    between = 0
    while (found := gateway.client.get(path).json())["state"] != "finished":
        if 0 < found["events"] < 6_000:
            gateway.publish(make_letta_event("agent-other"))
            between += 1
    assert between > 0
    erased = [entry[0] for entry in gateway.rows("SELECT position FROM log_entry WHERE erased_by > 0")]
    assert len(erased) == 6_000 == found["events"]


def test_what_is_pending_or_replayed_settles_as_erased(shared, sink, make_letta_event, until):
    agent = "agent-pending"
    retry = {"retry": [3_600.0]}
    made = shared.subscribe(sink, types=[TYPE], config=retry)
    sink.reply(500)
    [waits] = shared.publish(step(make_letta_event, agent, 1))
    until(lambda: shared.deliveries(waits) and shared.deliveries(waits)[0]["next_at"])
    # Only now: two that go out together may arrive in either order, and the 500 is for the first.
    [arrived] = shared.publish(step(make_letta_event, agent, 2))
    shared.settled(arrived, "delivered")
    erase(shared, agent)

    ended = shared.settled(waits, "erased")
    assert [attempt["decision"] for attempt in ended["attempts"]] == ["failed", "erased"]
    assert ended["event"] == {"id": None, "source": None, "type": TYPE}
    # What was delivered stays so, until somebody asks for it again.
    assert shared.deliveries(arrived)[0]["state"] == "delivered"
    answer = shared.client.post(
        f"/v1/subscriptions/{made['id']}/replay", json={"from_position": waits, "until_position": arrived}
    )
    assert answer.status_code == 202
    shared.settled(arrived, "erased")
    assert len(sink.posts) == 2
    query = f"/v1/events/{waits}/explain?subscription={made['id']}"
    assert shared.client.get(query).json()["verdict"] == "erased"


def test_s4b_an_erased_head_releases_its_key_for_what_came_later(shared, sink, make_letta_event, until):
    agent = "agent-in-order"
    config = {"retry": [3_600.0], "ordering": "partitionkey"}
    shared.subscribe(sink, types=[TYPE], config=config)
    sink.reply(500)
    head, behind = shared.publish(step(make_letta_event, agent, 1), step(make_letta_event, agent, 2))
    until(lambda: shared.deliveries(head) and shared.deliveries(head)[0]["next_at"])
    record = shared.client.post("/v1/erasures", json={"agent_id": agent}).json()
    event = step(make_letta_event, agent, 3)
    [later] = shared.publish(event)
    shared.settled(head, "erased")
    shared.settled(later, "delivered")
    until(lambda: shared.client.get(f"/v1/erasures/{record['id']}").json()["state"] == "finished")
    assert sink.ids[1:] == [event["id"]]
    assert [item["state"] for item in shared.deliveries(behind)] in ([], ["erased"])


def test_what_is_in_flight_arrives_and_its_answer_is_not_kept(shared, sink, make_letta_event):
    agent = "agent-in-flight"
    shared.subscribe(sink, types=[TYPE])
    hold = sink.reply_later()
    [position] = shared.publish(step(make_letta_event, agent, 1))
    sink.wait(1)
    erase(shared, agent)
    hold.set()
    [attempt] = shared.settled(position, "delivered")["attempts"]
    assert (attempt["status"], attempt["response_headers"], attempt["trace_id"]) == (200, [], "0" * 32)


def test_no_door_gives_it_out_any_more(shared, sink, make_letta_event):
    agent = "agent-behind-doors"
    pulled = shared.client.post("/v1/subscriptions", json={"sink": "pull:", "types": [TYPE]}).json()
    shared.subscribe(sink, types=[TYPE], config={"payload": "thin"})
    after = shared.client.get("/v1/events?limit=1").json()["items"][0]["position"]
    [position] = shared.publish(step(make_letta_event, agent, 1))
    [post] = sink.wait(1)
    link = json.loads(post.body)["dataref"]
    stream = f"/v1/subscriptions/{pulled['id']}/stream?after={after}"
    assert shared.client.get(link).status_code == 200
    assert [event["partitionkey"] for event in shared.client.get(stream).json()] == [agent]

    erase(shared, agent)
    assert shared.client.get(link).status_code == 410
    assert shared.client.get(stream).json() == []
    assert shared.client.get("/v1/events", params={"agent_id": agent}).json()["items"] == []
    with shared.client.stream(
        "GET", "/v1/events/stream", headers={"Last-Event-ID": str(position - 1)}
    ) as events:
        [later] = shared.publish(step(make_letta_event, "agent-later", 2))
        lines = events.iter_lines()
        said = next(line for line in lines if line.startswith("id:") and line.endswith(str(later)))
        data = next(line for line in lines if line.startswith("data:"))
    assert said
    assert agent not in data
