import asyncio
import json
import shutil
import socket
import threading
import time
from itertools import pairwise

import pytest
from faststream.redis import RedisBroker, RedisStreamMessage, StreamSub

import schemas
from letta_emitter import backlog, doctor, pump
from letta_emitter.bell import Bell
from letta_emitter.folder import Folder
from letta_emitter.progress import Progress
from letta_emitter.publisher import CONTENT_TYPE
from letta_emitter.stats import processes
from otel.traceparent import derive

STREAM = "letta.events"


@pytest.fixture
def folder(spool_dir):
    return Folder(spool_dir)


def test_everything_arrives_in_order_byte_for_byte(valkey, make_emitter, look, event, eventually):
    emitter = make_emitter(valkey.url)
    sent = [event(number, text="äöü ☃ " * 20) for number in range(500)]
    for envelope in sent:
        emitter.emit(envelope)
    stream = look(valkey.url)
    eventually(lambda: stream.count() == 500)
    for body, envelope in zip(stream.bodies(), sent, strict=True):
        sequence = schemas.parse_structured(body).attributes["sequence"]
        assert body == b'{"sequence":"%b",' % str(sequence).encode() + envelope.raw[1:]
    sequences = [found.attributes["sequence"] for found in stream.envelopes()]
    assert sequences == sorted(sequences)


def test_a_faststream_subscriber_reads_what_was_published(valkey, make_emitter, look, event, eventually):
    make_emitter(valkey.url).emit(event(7))
    stream = look(valkey.url)
    eventually(lambda: stream.count() == 1)

    async def receive():
        broker = RedisBroker(valkey.url)
        received = asyncio.get_running_loop().create_future()

        @broker.subscriber(
            stream=StreamSub(STREAM, last_id="0"),
        )
        async def handle(message: RedisStreamMessage):
            if not received.done():
                received.set_result(message.body)

        async with broker:
            await broker.start()
            return await asyncio.wait_for(received, 10)

    body = asyncio.run(receive())
    assert body == stream.bodies()[0]
    assert schemas.parse_structured(body).id == "evt_7"


def test_the_frame_has_ascii_headers_and_the_content_type(valkey, make_emitter, look, event, eventually):
    make_emitter(valkey.url).emit(event(7, text="ü"))
    stream = look(valkey.url)
    eventually(lambda: stream.count() == 1)
    frame = stream.client.xrange(STREAM)[0][1][b"__data__"]
    head = frame.removesuffix(stream.bodies()[0])
    assert CONTENT_TYPE.encode() in head
    assert max(head[18:]) < 128


def test_a_letta_event_becomes_a_cloudevent_with_its_trace(valkey, make_emitter, look, eventually):
    trace = derive("step-1")
    event = schemas.parse_event(
        {
            "event_id": schemas.event_id("agent.step.completed", "step-1"),
            "event_type": "agent.step.completed",
            "timestamp": "2026-01-01T12:00:00Z",
            "agent_id": "agent-1",
            "organization_id": "org-1",
            "data": {"step_id": "step-1", "run_id": "run-1", "status": "completed"},
        }
    )
    emitter = make_emitter(valkey.url, source_base="https://letta.example")
    emitter.emit(event, trace=trace, tracestate="a=b", causationid="evt_before")
    stream = look(valkey.url)
    eventually(lambda: stream.count() == 1)
    (found,) = stream.envelopes()
    assert found.source == "https://letta.example/organizations/org-1/agents/agent-1"
    assert found.attributes["traceparent"] == trace.render()
    assert found.attributes["tracestate"] == "a=b"
    assert found.attributes["causationid"] == "evt_before"
    assert found.attributes["correlationid"] == "run-1"
    assert schemas.parse_event(found) == event


def test_redis_down_at_the_start_the_spool_holds(make_valkey, make_emitter, look, event, eventually):
    server = make_valkey()
    emitter = make_emitter(server.url)
    for number in range(50):
        emitter.emit(event(number))
    eventually(lambda: emitter.stats.get("redis_errors") > 0)
    assert "does not take events" in (emitter.stats.last_error or "")
    server.start()
    stream = look(server.url)
    eventually(lambda: stream.count() == 50)
    assert stream.numbers() == list(range(50))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_redis_going_down_while_events_come(*, valkey, make_emitter, look, event, eventually, how):
    emitter = make_emitter(valkey.url)
    stream = look(valkey.url)
    for number in range(100):
        emitter.emit(event(number))
    eventually(lambda: stream.count() == 100)
    getattr(valkey, how)()
    for number in range(100, 200):
        emitter.emit(event(number))
    eventually(lambda: emitter.stats.get("redis_errors") > 0)
    valkey.start()
    eventually(lambda: len(stream.numbers()) == 200)
    assert stream.numbers() == list(range(200))


def test_s9d_another_redis_gets_the_last_minute_again_first(valkey, make_emitter, look, event, eventually):
    emitter = make_emitter(valkey.url)
    stream = look(valkey.url)
    for number in range(100):
        emitter.emit(event(number))
    eventually(lambda: stream.count() == 100)
    valkey.kill()
    valkey.wipe()
    valkey.start()
    emitter.emit(event(100))
    eventually(lambda: stream.count() == 101)
    assert stream.numbers() == list(range(101))
    assert emitter.stats.get("republished") == 100
    assert emitter.stats.get("other_redis") == 1


def test_s9d_what_redis_has_had_for_long_enough_is_forgotten(
    *, valkey, make_emitter, look, event, eventually, folder
):
    emitter = make_emitter(valkey.url, retain_s=0.5, spool_bytes_max=256 * 1024)
    stream = look(valkey.url)
    for number in range(100):
        emitter.emit(event(number, text="x" * 1500))
    eventually(lambda: stream.count() == 100)
    assert len(folder.segments()) > 2
    eventually(lambda: len(folder.segments()) == 1)
    assert Progress.load(folder).released == Progress.load(folder).published
    valkey.kill()
    valkey.wipe()
    valkey.start()
    emitter.emit(event(100))
    eventually(lambda: stream.count() > 0)
    assert stream.numbers() == [100]


def test_s9e_a_full_stream_is_not_filled_further(valkey, make_emitter, look, event, eventually):
    emitter = make_emitter(valkey.url, stream_max=30)
    stream = look(valkey.url)
    for number in range(50):
        emitter.emit(event(number))
    eventually(lambda: emitter.stats.get("holds") > 0)
    assert stream.count() == 30
    first = stream.numbers()
    stream.client.xtrim(STREAM, maxlen=0)
    eventually(lambda: stream.count() == 20)
    assert first + stream.numbers() == list(range(50))


def test_s9e_an_overflow_is_told_as_a_gap_once_there_is_room(
    make_valkey, make_emitter, look, event, eventually
):
    server = make_valkey()
    emitter = make_emitter(server.url, spool_bytes_max=64 * 1024, retain_s=0.2)
    number = 0
    while not emitter.stats.get("overflow"):
        emitter.emit(event(number, text="x" * 1000))
        number += 1
    for lost in range(4):
        emitter.emit(event(number + lost, text="x" * 1000, organization="org-2"))
    assert emitter.stats.get("overflow") == 5
    server.start()
    stream = look(server.url)

    def gaps():
        return [found for found in stream.envelopes() if found.type == "com.letta.emitter.gap"]

    eventually(lambda: len(gaps()) == 2)
    arrived = [found.id for found in stream.envelopes() if found.type != "com.letta.emitter.gap"]
    assert arrived == [f"evt_{kept}" for kept in range(number - 1)], "the oldest are kept"
    told = {gap.source.rpartition("/")[2]: gap.data() for gap in gaps()}
    assert {name: data["data"]["count"] for name, data in told.items()} == {"org-1": 1, "org-2": 4}
    for name, data in told.items():
        assert data["organization_id"] == name
        assert data["data"]["reason"] == "overflow"
        assert data["data"]["first_at"] <= data["data"]["last_at"]


def test_s9e_copies_of_what_redis_has_give_way_before_events_are_lost(
    valkey, make_emitter, look, event, eventually
):
    emitter = make_emitter(valkey.url, spool_bytes_max=64 * 1024, retain_s=3600)
    stream = look(valkey.url)
    for number in range(300):
        emitter.emit(event(number, text="x" * 1000))
        if number % 10 == 9:
            eventually(lambda number=number: stream.count() == number + 1)
            eventually(lambda: emitter._spool.folder.size_bytes() <= 48 * 1024)
    eventually(lambda: stream.count() == 300)
    assert emitter.stats.get("overflow") == 0
    eventually(lambda: emitter.stats.get("released_early") > 0)


def test_side_files_are_published_and_removed(*, valkey, make_emitter, look, event, eventually, folder):
    emitter = make_emitter(valkey.url, retain_s=0.3)
    stream = look(valkey.url)
    emitter.emit(event(0))
    eventually(lambda: stream.count() == 1)
    emitter._spool._mutex.acquire()  # as another thread that is stuck in the middle of an append
    emitter.emit(event(1))
    emitter._spool._mutex.release()
    assert emitter.stats.get("side_file") == 1
    eventually(lambda: stream.count() == 2)
    emitter.emit(event(2))
    eventually(lambda: not folder.sides())
    assert sorted(stream.numbers()) == [0, 1, 2]


def test_damage_is_counted_and_the_rest_arrives(
    *, make_valkey, make_emitter, look, event, eventually, folder
):
    server = make_valkey()
    emitter = make_emitter(server.url)
    for number in range(5):
        emitter.emit(event(number))
    emitter.close(0)
    path = folder.segment(1)
    content = bytearray(path.read_bytes())
    content[content.index(b'"evt_2"') + 1] ^= 0xFF
    path.write_bytes(content)
    server.start()
    after = make_emitter(server.url)
    after.emit(event(5))
    stream = look(server.url)
    eventually(lambda: stream.count() == 5)
    assert stream.numbers() == [0, 1, 3, 4, 5]
    eventually(lambda: after.stats.get("damaged") == 1)
    eventually(lambda: doctor.total_counters(folder).get("damaged") == 1)


def test_a_redis_that_forbids_info_still_gets_everything(valkey, make_emitter, look, event, eventually):
    stream = look(valkey.url)
    stream.client.acl_setuser(
        "emitter", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-info"]
    )
    emitter = make_emitter(valkey.url.replace("//", "//emitter:pw@"))
    for number in range(20):
        emitter.emit(event(number))
    eventually(lambda: len(stream.numbers()) == 20)
    assert stream.numbers() == list(range(20))


def test_a_redis_that_never_answers_costs_the_caller_nothing(make_emitter, event):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        emitter = make_emitter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        emitter.start()
        start = time.monotonic()
        for number in range(100):
            emitter.emit(event(number))
        assert time.monotonic() - start < 1
        assert emitter.stats.get("emitted") == 100


@pytest.fixture(params=["hangs", "is down"])
def no_redis(request, monkeypatch):
    """The URL of a Redis that takes connections and never answers, or that is not there."""
    monkeypatch.setattr(pump, "BACKOFF_FIRST_S", pump.BACKOFF_MAX_S)  # the longest pause comes first
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if request.param == "is down":
            listener.close()
            yield "redis://127.0.0.1:1/0"
        else:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_s9b_what_is_emitted_is_on_disk_within_a_second_whatever_redis_does(
    *, no_redis, make_emitter, event, eventually, monkeypatch, folder
):
    synced = []
    sync_file = backlog._sync_file

    def recorded(path):
        sync_file(path)
        if path == str(folder.segment(1)):
            synced.append(time.monotonic())

    monkeypatch.setattr(backlog, "_sync_file", recorded)
    emitter = make_emitter(no_redis)
    emitter.emit(event(0))
    eventually(lambda: synced)  # from here on each of these emits finds the file it appends to synced before
    eventually(lambda: (emitter.emit(event(1)), len(synced) >= 6)[1])
    gaps = [later - earlier for earlier, later in pairwise(synced)]
    assert max(gaps[1:]) < 1, "the first one has the import of the pump in it"


def test_a_lock_that_is_seen_lost_while_redis_is_waited_for_ends_the_holding(make_emitter, folder):
    emitter = make_emitter("redis://127.0.0.1:1/0")
    answers = iter([True, False])  # the house-keeping says it once, as it does not look at every call
    held = backlog.Backlog(folder, 1024, time.monotonic())
    holder = pump.Pump(
        emitter.settings, held, emitter.stats, Bell(), keep_house=lambda _: next(answers, True)
    )
    asyncio.run(asyncio.wait_for(holder.run(), 10))
    held.close(time.monotonic())


def test_emit_raises_nothing_whatever_it_is_given(valkey, make_emitter, caplog):
    emitter = make_emitter(valkey.url)
    for wrong in (None, 7, "text", {"event_type": "x"}):
        emitter.emit(wrong)
    assert emitter.stats.get("failed") == 4
    assert len([record for record in caplog.records if "event was lost" in record.message]) == 1, (
        "logged once a minute"
    )


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_interrupts_of_the_caller_pass_through(valkey, make_emitter, event, monkeypatch, interrupt):
    emitter = make_emitter(valkey.url)

    def interrupted(*_, **__):
        raise interrupt

    monkeypatch.setattr(emitter._spool, "append", interrupted)
    with pytest.raises(interrupt):
        emitter.emit(event(1))
    monkeypatch.undo()
    emitter.emit(event(2))
    assert emitter.stats.get("emitted") == 1


def test_an_unwritable_spool_is_counted_and_logged_once(tmp_path, make_emitter, event, caplog):
    (tmp_path / "file").write_text("")
    emitter = make_emitter("redis://127.0.0.1:1/0", spool_dir=tmp_path / "file" / "spool")
    for number in range(5):
        emitter.emit(event(number))
    assert emitter.stats.get("unwritable") == 5
    assert len([record for record in caplog.records if "event was lost" in record.message]) == 1


def test_nothing_starts_before_the_first_event(valkey, make_emitter, event, spool_dir):
    before = threading.active_count()
    emitter = make_emitter(valkey.url)
    assert threading.active_count() == before
    assert not spool_dir.exists()
    emitter.emit(event(1))
    assert spool_dir.exists()


def test_close_publishes_what_is_there(valkey, make_emitter, look, event):
    emitter = make_emitter(valkey.url)
    for number in range(200):
        emitter.emit(event(number))
    emitter.close(10)
    assert look(valkey.url).numbers() == list(range(200))


def test_counters_can_be_read_from_another_process(valkey, make_emitter, event, eventually, folder):
    emitter = make_emitter(valkey.url)
    emitter.emit(event(1))
    eventually(
        lambda: any(
            found["alive"] and found["stats"]["counters"].get("published") == 1 for found in processes(folder)
        )
    )
    (living,) = processes(folder)
    assert living["stats"]["role"] == "drain"
    emitter.close(5)
    assert [found["alive"] for found in processes(folder)] == [False]
    make_emitter(valkey.url).start()
    eventually(folder.retired.exists)
    assert json.loads(folder.retired.read_bytes())["emitted"] == 1
    assert doctor.total_counters(folder)["emitted"] == 1


def test_progress_that_cannot_be_read_means_from_the_start(
    *, valkey, make_emitter, look, event, eventually, folder
):
    first = make_emitter(valkey.url)
    first.emit(event(1))
    first.close(10)
    folder.progress.write_text("{broken")
    stream = look(valkey.url)
    make_emitter(valkey.url).start()
    eventually(lambda: stream.count() == 2)
    assert stream.numbers() == [1]


def test_a_removed_folder_is_begun_anew(*, valkey, make_emitter, look, event, eventually, folder):
    emitter = make_emitter(valkey.url)
    stream = look(valkey.url)
    emitter.emit(event(0))
    eventually(lambda: stream.count() == 1)
    shutil.rmtree(folder.path)
    eventually(lambda: (emitter.emit(event(1)), folder.segments())[1])
    emitter.emit(event(2))
    eventually(lambda: 2 in stream.numbers())


def test_a_unix_socket_serves_as_well(valkey, make_emitter, look, event, eventually):
    make_emitter(valkey.unix_url).emit(event(1))
    stream = look(valkey.url)
    eventually(lambda: stream.numbers() == [1])
