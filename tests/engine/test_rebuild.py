"""`rebuild` in simulation: after any history the projections come out equal, and the streams go on from them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from simulation.clock import run as virtually
from simulation.plan import Plan
from simulation.rebuilding import RebuildingSimulation

from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.sqlite import SqliteDatabase


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "gateway.db"
    database = SqliteDatabase(path)
    asyncio.run(upgrade(database))
    database.close_now()
    return path


@pytest.fixture
def rebuilding(template: Path, tmp_path: Path) -> Callable[[Plan], RebuildingSimulation]:
    def run(plan: Plan) -> RebuildingSimulation:
        simulation = RebuildingSimulation(plan, template, tmp_path)

        async def whole() -> None:
            await simulation.run()
            simulation.rebuild()

        virtually(whole())
        return simulation

    return run


@pytest.mark.parametrize("seed", range(700, 706))
def test_a_rebuild_between_any_two_processes_changes_nothing(rebuilding, seed: int) -> None:
    run = rebuilding(Plan(seed=seed, crash=0.1, stop=0.04))
    assert run.rebuilds > 3


def test_a_rebuild_after_a_crash_in_the_thick_of_it(rebuilding) -> None:
    run = rebuilding(Plan(seed=750, crash=0.3, outage=0, action_gap_s=0.3, subscriptions=6, actions=80))
    assert run.rebuilds > 10
