"""What `letta-emitter doctor` says of the routes: wanted, possible, mounted, and whether the gateway answers."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable
from typing import Final, NamedTuple

from letta_emitter.errors import SettingsError
from letta_emitter.routes.client import Gateway
from letta_emitter.routes.exchange import call
from letta_emitter.routes.mounting import MOUNTED, WHERE, find_letta
from letta_emitter.routes.problems import RouteProblem
from letta_emitter.routes.settings import TOKEN, URL, GatewayAccess, access
from letta_emitter.stats import Process

_TIMEOUT_S: Final = 5.0


class Finding(NamedTuple):
    """One thing looked at: its name, whether it is as it should be, and a sentence."""

    name: str
    ok: bool
    detail: str


def look(running: Iterable[Process]) -> list[Finding]:
    """Look at the routes of the processes that use this spool, and ask the gateway; waits 5 s at most."""
    try:
        wanted = access()
    except SettingsError as error:
        return [Finding("routes", ok=False, detail=f"none on Letta's API: {error}")]
    if wanted is None:
        return [Finding("routes", ok=True, detail=f"none on Letta's API: {URL} and {TOKEN} are not set")]
    return [_routes(running), _gateway(wanted)]


def _routes(running: Iterable[Process]) -> Finding:
    told = {
        process["stats"]["pid"]: said
        for process in running
        if process["alive"] and (said := process["stats"].get("routes")) is not None
    }
    failed = [f"process {pid}: {said}" for pid, said in told.items() if said != MOUNTED]
    if failed:
        return Finding("routes", ok=False, detail="; ".join(failed))
    if told:
        by = ", ".join(str(pid) for pid in told)
        return Finding("routes", ok=True, detail=f"{WHERE} is mounted by process {by}")
    try:
        find_letta()
    except Exception as error:  # noqa: BLE001 (whatever Letta's own import does, the other checks go on)
        return Finding("routes", ok=False, detail=f"they cannot be mounted: {error}")
    return Finding("routes", ok=True, detail=f"a Letta server that is started now mounts {WHERE}")


def _gateway(wanted: GatewayAccess) -> Finding:
    # Letta sets logging up so that HTTPX would tell of each request on the standard output, where the report goes.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return asyncio.run(_ask(wanted))
    except ImportError as error:
        return Finding("gateway", ok=False, detail=f"cannot be asked: {error}")


async def _ask(wanted: GatewayAccess) -> Finding:
    """Ask for a test event for an agent that there is not: it does nothing, and wants all that the routes want."""
    gateway = Gateway(wanted, timeout_s=_TIMEOUT_S)
    nobody = call("POST", f"agent-{uuid.uuid4()}", "", below="/test")
    try:
        answer = await gateway.send(nobody)
    except RouteProblem as problem:
        detail = f"{wanted.url}: {problem.kind.title}. {problem.detail}"
        return Finding("gateway", ok=False, detail=detail)
    finally:
        await gateway.close()
    if answer.status == 404 and b"urn:letta-gateway:problem:not-found" in answer.body:  # noqa: PLR2004
        return Finding("gateway", ok=True, detail=f"{wanted.url} answers, and takes the token")
    return Finding("gateway", ok=False, detail=f"{wanted.url} answers {answer.status}; is it the gateway?")
