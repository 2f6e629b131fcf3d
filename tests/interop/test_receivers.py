"""Real, unmodified receivers understand what the gateway sends (CONFORMANCE, "Receivers to be proven against")."""

import itertools
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from peering.cases import WHAT, event_of, source_of
from peering.comparing import differences
from peering.environments import node_folder, python_of
from peering.expected import Outcome, expected
from peering.process import WITHIN_S, ReceiverProcess
from peering.receivers import PACKAGES, RECEIVERS, Package

pytestmark = pytest.mark.interop

SINGLE = [(name, mode) for name, peer in RECEIVERS.items() for mode in peer.modes if mode != "batch"]
BATCHES = [name for name, peer in RECEIVERS.items() if "batch" in peer.modes]
NUMBERS = itertools.count(1)

Receiving = Callable[[str], ReceiverProcess]


def subscribe(gateway: Any, url: str, mode: str, source: str) -> dict[str, Any]:
    """A stream of a receiver's own; one attempt each, as a refusal is to be seen and not waited for."""
    sources = sorted({source_of(case, source) for case in WHAT})
    # A framework may listen before it has loaded its function, hence the longest wait that there is.
    config: dict[str, Any] = {"format": mode, "retry": [], "max_concurrency": 1, "timeout_s": 15}
    if mode == "batch":
        # Full, and so on its way, when all cases are in it.
        config |= {"batch_events_max": len(WHAT), "batch_age_s": 60}
    filters = [{"any": [{"exact": {"source": it}} for it in sources]}]
    made: dict[str, Any] = gateway.subscribe(url, filters=filters, config=config)
    return made


def ended(gateway: Any, position: int) -> dict[str, Any]:
    """The one delivery of an event, once nothing more comes of it."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        for delivery in gateway.deliveries(position):
            if delivery["state"] != "pending":
                return dict(delivery)
        assert time.monotonic() < deadline, gateway.deliveries(position)
        time.sleep(0.02)


def compared(gateway: Any, event: dict[str, Any], told: dict[str, Any]) -> Outcome:
    of = gateway.said["url"] + "/registry/schemagroups/com.letta/schemas/agent.step.completed/versions/1"
    return Outcome(differences(event, told, dataschema=of))


def outcome(gateway: Any, process: ReceiverProcess, event: dict[str, Any]) -> Outcome:
    """Publish an event, wait until the gateway has its answer, and compare what the receiver says."""
    before = len(process.seen)
    (position,) = gateway.publish(event)
    delivery = ended(gateway, position)
    if delivery["state"] != "delivered":
        return Outcome(refused=str(delivery["attempts"][-1]["status"]))
    told = process.wait(before + 1)[before]
    if "error" in told:
        return Outcome(refused=told["error"])
    (one,) = told["events"]
    return compared(gateway, event, one)


@pytest.mark.parametrize(("name", "mode"), SINGLE, ids=[f"{name}-{mode}" for name, mode in SINGLE])
def test_a_receiver_understands(name: str, mode: str, shared: Any, receiving: Receiving) -> None:
    process = receiving(name)
    source = f"/interop/{name}/{mode}"
    subscribe(shared, process.url, mode, source)
    found = {
        case: outcome(shared, process, event_of(case, number=next(NUMBERS), source=source)) for case in WHAT
    }
    assert found == {case: expected(name, mode, case) for case in WHAT}


@pytest.mark.parametrize("name", BATCHES)
def test_a_receiver_understands_a_batch(name: str, shared: Any, receiving: Receiving) -> None:
    process = receiving(name)
    source = f"/interop/{name}/batch"
    subscribe(shared, process.url, "batch", source)
    events = {case: event_of(case, number=next(NUMBERS), source=source) for case in WHAT}
    before = len(process.seen)
    positions = shared.publish(*events.values())
    told = process.wait(before + 1)[before]
    assert "error" not in told, told
    by_id = {one["attributes"]["id"]: one for one in told["events"]}
    found = {case: compared(shared, event, by_id[event["id"]]) for case, event in events.items()}
    assert found == {case: expected(name, "batch", case) for case in WHAT}
    assert len(told["events"]) == len(WHAT)
    assert {ended(shared, position)["state"] for position in positions} == {"delivered"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: f"{package.registry}-{package.name}")
def test_what_is_installed_is_what_the_page_says(package: Package) -> None:
    if package.registry == "npm":
        at = node_folder() / "node_modules" / package.name / "package.json"
        command = ["node", "-p", f"require({str(at)!r}).version"]
    else:
        code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        command = [str(python_of(package.folder)), "-c", code, package.name]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == package.version
