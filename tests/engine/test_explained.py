"""After any history, `explain` says of every event and every subscription what the oracle knows."""

from collections.abc import Callable

import pytest
from simulation.clock import now_us
from simulation.clock import run as virtually
from simulation.making import FACTS
from simulation.plan import Plan
from simulation.run import Simulation

from gateway.adapters.memory import MemoryDeliveries
from gateway.ports import Kind
from gateway.views.explain import Explainer

Simulate = Callable[[Plan], Simulation]
SETTLED = {"delivered", "exhausted", "expired", "refused", "cancelled"}


def expected(run: Simulation, number: int, position: int) -> set[str]:
    """The verdicts that are right at the end of a run, when all that is owed has been settled."""
    told, entry = run.oracle.told[number], run.store.rows[position - 1].entry
    if run.store.attempts.get((number, position)):
        return SETTLED | ({"deleted"} if told.deleted else set())
    if entry.addressee is not None:
        return {"deleted", "skipped"} if entry.addressee == number else {"addressed_elsewhere"}
    if told.organization not in {"*", entry.organization}:
        return {"organization"}
    agent = run.oracle.agents.get(position, "")
    if not told.wish_at(position).wants(entry, agent):
        if entry.kind is Kind.FACT and not (told.audits and entry.type in FACTS):
            return {"gateway_fact"}
        return {"earlier_revision" if told.wishes[-1][1].wants(entry, agent) else "no_match"}
    if run.oracle._feeds_itself(entry):
        return {"feedback"}
    if position <= run.store.ended.get(number, run.store.subscriptions[number]).start_position:
        return {"before_start"}
    return {"deleted"} if told.deleted else {"skipped"} if position in told.excused else set()


@pytest.mark.parametrize("seed", range(600, 606))
def test_explain_agrees_with_what_happened(simulated: Simulate, seed: int) -> None:
    run = simulated(Plan(seed=seed, crash=0.03))
    explainer = Explainer(run.log, run.subscriptions, MemoryDeliveries(run.store), now=now_us)
    seen: set[str] = set()

    async def explain_all() -> None:
        for number in run.oracle.told:
            for row in list(run.store.rows):
                answer = await explainer.explain(row.entry, run.store.names[number][0])
                assert answer is not None
                assert answer["verdict"] in expected(run, number, row.entry.position), answer
                seen.add(answer["verdict"])

    virtually(explain_all())
    assert len(seen) > 4
