from __future__ import annotations

import pytest

import schemas
from letta_emitter import EmitterSettings, NotDeliveredError, WebhookManager, emit_once
from letta_emitter.emitter import Emitter

STEP = {"step_id": "step-1", "status": "completed"}


@pytest.mark.parametrize("name", ["agent.step.completed", "com.letta.agent.step.completed"])
def test_one_line_publishes_an_event(valkey, make_emitter, look, eventually, name):
    manager = WebhookManager(make_emitter(valkey.url))
    event_id = manager.publish_event(
        name, agent_id="agent-1", organization_id="org-1", data=STEP, run_id="run-1"
    )
    stream = look(valkey.url)
    eventually(lambda: stream.count() == 1)
    found = schemas.parse_event(stream.envelopes()[0])
    assert found.event_id == event_id
    assert found.correlationid == "run-1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event_type": "agent.step.finished"}, "unknown event type"),
        ({"event_type": "com.other.thing"}, "unknown event type"),
        ({"data": {"status": "completed"}}, "step_id"),
        ({"agent_id": None}, "agent_id"),
        ({"organization_id": ""}, "organization_id"),
    ],
)
def test_a_wrong_call_is_told_also_when_the_emitter_is_off(change, said):
    call = {"event_type": "agent.step.completed", "agent_id": "a", "organization_id": "o", "data": STEP}
    with pytest.raises(ValueError, match=said):
        WebhookManager(Emitter(None)).publish_event(**(call | change))


def test_a_right_call_raises_nothing_whatever_the_transport_does(make_emitter, tmp_path):
    (tmp_path / "file").write_text("")
    broken = make_emitter("redis://127.0.0.1:1/0", spool_dir=tmp_path / "file" / "spool")
    for emitter in (broken, Emitter(None)):
        event_id = WebhookManager(emitter).publish_event(
            "agent.step.completed", agent_id="a", organization_id="o", data=STEP, event_id="evt_1"
        )
        assert event_id == "evt_1"


def test_emit_once_returns_when_redis_has_it(valkey, spool_dir, event, look):
    settings = EmitterSettings(redis_url=valkey.url, spool_dir=spool_dir)
    receipt = emit_once(settings, event(1))
    assert receipt.id == "evt_1"
    (found,) = look(valkey.url).envelopes()
    assert int(found.attributes["sequence"]) == receipt.sequence


def test_emit_once_uses_the_drain_of_a_running_server(
    *, valkey, spool_dir, event, look, make_emitter, eventually
):
    running = make_emitter(valkey.url)
    running.start()
    eventually(lambda: running.stats.role == "drain")
    emit_once(EmitterSettings(redis_url=valkey.url, spool_dir=spool_dir), event(1))
    assert look(valkey.url).numbers() == [1]
    assert running.stats.get("published") == 1


def test_emit_once_says_what_is_wrong_and_keeps_the_event(make_valkey, spool_dir, event, look):
    server = make_valkey()
    settings = EmitterSettings(redis_url=server.url, spool_dir=spool_dir)
    with pytest.raises(NotDeliveredError, match=r"is not in Redis at .*; it waits in the spool at ") as told:
        emit_once(settings, event(1), timeout_s=1.5)
    assert str(told.value).endswith(f" {spool_dir} and goes out with the next emit or emitter on it")
    server.start()
    emit_once(settings, event(2))
    assert look(server.url).numbers() == [1, 2]
