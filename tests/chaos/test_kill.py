"""kill -9 of the gateway at random points of all it does: replays, catch-up, rotations, breakers, pauses, batches.

Afterwards nothing that was accepted is lost, no range has a gap, and what was sent twice was in flight at a kill.
CHAOS_ROUNDS and CHAOS_SEED choose another run; `-s` shows what was drawn and what came of it.
"""

import os
import random
import subprocess
import sys
import time

import pytest
from killing.audit import Audit
from killing.books import Reader
from killing.operator import Operator, create_all
from killing.plan import Round, draw
from killing.process import Gateway
from killing.producers import HttpProducer, RedisProducer
from killing.receiver import Receiver

pytestmark = pytest.mark.chaos

ROUNDS = int(os.environ.get("CHAOS_ROUNDS") or 3)
SEEDS = [int(seed) for seed in (os.environ.get("CHAOS_SEED") or "1 2").split()]
QUIET_S = 240.0
SHOWN = 20


@pytest.fixture
def receiver(request):
    made = Receiver(random.Random(request.node.callspec.params["seed"] + 1))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def gateway(tmp_path, receiver):
    made = Gateway(tmp_path / "data", receiver.expect)
    yield made
    made.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_repeats_are_what_was_in_flight(seed, gateway, receiver):
    dice = random.Random(seed)
    print(f"\nCHAOS_SEED={seed} CHAOS_ROUNDS={ROUNDS}")
    gateway.start()
    producers = [HttpProducer(gateway, "/chaos/http"), RedisProducer(gateway, "/chaos/redis")]
    operator = Operator(gateway, receiver, producers)
    create_all(operator)
    for producer in producers:
        producer.start()
    try:
        for number in range(1, ROUNDS + 1):
            planned = draw(dice)
            print(f"{number:4}  {planned}")
            acting = operator.act_out(planned)
            time.sleep(planned.up_s)  # the random point, not a wait for something
            end(gateway, planned)
            acting.join()
            gateway.start()
    finally:
        for producer in producers:
            producer.stop()
    resources = settle(operator, Reader(gateway.data_dir))
    assert gateway.stop() == 0

    audit = Audit(Reader(gateway.data_dir).books(resources), receiver.seen(), gateway.lives)
    accepted = [event for producer in producers for event in producer.accepted]
    known = {replay.replay for replay in audit.books.replays}
    print(audit.figures(), f"commands: {dict(sorted(operator.answers.items()))}", sep="\n")
    if operator.skipped:
        print(f"skipped: {operator.skipped}")
    faults = [
        *audit.faults(),
        *audit.missing(accepted),
        *audit.outdated(operator.rotations),
        *(f"unsigned: {fault}" for fault in receiver.unsigned),
        *operator.faults,
        *(
            f"replay {number} was promised and is not there"
            for number in operator.replays
            if number not in known
        ),
        *(f"the gateway says: {line}" for line in gateway.told().splitlines() if "Traceback" in line),
    ]
    assert all(producer.accepted for producer in producers)
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:SHOWN]])
    verify_log(gateway)


def end(gateway: Gateway, planned: Round) -> None:
    """End its process as planned, and the next one too where that is to die while it starts."""
    if planned.orderly:
        assert gateway.stop() == 0
    else:
        gateway.kill()
    if planned.early_s is not None:
        gateway.spawn()
        time.sleep(planned.early_s)
        gateway.kill()


def settle(operator: Operator, reader: Reader) -> list[dict]:
    """Make the receiver well, start what stands, and wait until nothing is left to do; the subscriptions."""
    operator.receiver.be_well()
    deadline = time.time() + QUIET_S
    while any((owing := reader.owing()).values()):
        assert time.time() < deadline, f"it does not come to rest: {owing}"
        resources = operator.subscriptions()
        for resource in resources:
            if resource["state"] != "active":
                operator.ask("resume", "POST", f"/v1/subscriptions/{resource['id']}/resume")
        time.sleep(0.2)
    return operator.subscriptions()


def verify_log(gateway: Gateway) -> None:
    command = [sys.executable, "-m", "gateway", "verify-log", "--data-dir", gateway.data_dir]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
