"""`demo`: a recorded run of a real Letta agent, through the emitter, the gateway and a verifying receiver."""

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
import typer

from gateway.cli.child import ChildGateway, child_gateway
from gateway.cli.client import GatewayClient
from gateway.cli.demo_report import Round, faults, print_round
from gateway.cli.interrupts import until_interrupted
from gateway.cli.output import results, say
from gateway.cli.receiver import Receiver
from gateway.errors import CheckFailed
from letta_emitter import Emitter, EmitterSettings
from letta_emitter.recording import replay

ARRIVAL_S_MAX = 15.0
SETTLED_S_MAX = 5.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class _Stage:
    """Everything that a round needs, running."""

    gateway: ChildGateway
    client: GatewayClient
    receiver: Receiver
    emitter: Emitter


def demo(
    *,
    once: Annotated[
        bool,
        typer.Option("--once", help="Replay once, check what arrived, end; exits 1 if anything is wrong."),
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between replays; Enter replays at once.")
    ] = 30,
) -> None:
    """Show the whole way: a gateway in a temporary folder, a receiver that verifies, a real agent's recorded run.

    Without --once it goes on until Ctrl-C.
    """
    anyio.run(_until_interrupted, once, interval)


async def _until_interrupted(once: bool, interval_s: float) -> None:  # noqa: FBT001 - anyio.run passes by position
    await until_interrupted(_demo(once=once, interval_s=interval_s))


async def _demo(*, once: bool, interval_s: float) -> None:
    with tempfile.TemporaryDirectory(prefix="letta-gateway-demo-") as folder:
        async with _stage(Path(folder)) as stage:
            say(f"A gateway runs at {stage.gateway.connection.url}, a receiver at {stage.receiver.url}.")
            while True:
                wrong = await _round(stage)
                for fault in wrong:
                    say(f"  {fault}")
                if once and wrong:
                    raise CheckFailed(f"The demo found {len(wrong)} faults.")
                if once:
                    return
                await _pause(interval_s)


@contextlib.asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[_Stage]:
    async with child_gateway(folder) as gateway, Receiver().running() as receiver:
        settings = EmitterSettings(
            redis_url=gateway.redis_url, stream=gateway.stream, spool_dir=folder / "spool"
        )
        emitter = Emitter(settings)
        try:
            with GatewayClient(gateway.connection) as client:
                body = {"sink": receiver.url, "name": "demo"}
                made = await anyio.to_thread.run_sync(
                    partial(client.request, "POST", "/v1/subscriptions", body=body)
                )
                receiver.secret = made["secret"]
                yield _Stage(gateway, client, receiver, emitter)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(emitter.close)


async def _round(stage: _Stage) -> list[str]:
    """Replay the run once, wait until it has arrived and is settled, print it; returns what was wrong."""
    receiver = stage.receiver
    receiver.received.clear()
    ids = await anyio.to_thread.run_sync(partial(replay, stage.emitter, fresh_ids=True))
    wanted = frozenset(ids)

    def all_arrived(at: Receiver) -> bool:
        return wanted <= {received.event.id for received in at.received if received.event is not None}

    await receiver.wait_until(all_arrived, within_s=ARRIVAL_S_MAX)
    deliveries = await _settled(stage.client, ids)
    done = Round(ids, tuple(receiver.received), deliveries)
    print_round(done)
    wrong = faults(done)
    verdict = f"with {len(wrong)} faults" if wrong else "each once, verified, one trace per step"
    results().print(f"{len(done.received)} of {len(ids)} events arrived, {verdict}.", soft_wrap=True)
    sys.stdout.flush()
    return wrong


async def _settled(client: GatewayClient, ids: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The deliveries of these events, once the gateway has settled them all or the time is over."""
    found: Mapping[str, Sequence[Mapping[str, Any]]] = {}
    with anyio.move_on_after(SETTLED_S_MAX):
        while True:
            found = await anyio.to_thread.run_sync(_deliveries, client, ids)
            states = [delivery["state"] for deliveries in found.values() for delivery in deliveries]
            if len(states) >= len(ids) and "pending" not in states:
                break
            await anyio.sleep(_LOOK_EVERY_S)
    return found


def _deliveries(client: GatewayClient, ids: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    newest = client.items("/v1/events", limit=2 * len(ids))
    positions = {item["event"]["id"]: item["position"] for item in newest if item["event"]}
    return {
        event_id: list(client.items(f"/v1/events/{positions[event_id]}/deliveries"))
        for event_id in ids
        if event_id in positions
    }


async def _pause(interval_s: float) -> None:
    say(f"Again in {interval_s:g} s, or on Enter. Ctrl-C ends it.")
    with anyio.move_on_after(interval_s):
        if sys.stdin is None or not sys.stdin.isatty():
            await anyio.sleep_forever()
        await anyio.wait_readable(sys.stdin)
        sys.stdin.readline()
