"""With Redis down, going down or killed, Letta answers as it does alone, and every event arrives afterwards."""

import pytest
from harness.dialogue import Dialogue, dialogue
from harness.processes import wait_until
from harness.watched import Watched


def same(talk: Dialogue, alone: Dialogue) -> None:
    for number, (answer, expected) in enumerate(zip(talk.answers, alone.answers, strict=True)):
        assert answer == expected, f"answer {number} differs"


def test_redis_down_when_letta_starts(watched: Watched, alone: Dialogue) -> None:
    same(watched.first_talk, alone)
    watched.all_arrives(watched.first_talk.agent)


def test_redis_up(watched: Watched, alone: Dialogue) -> None:
    talk = dialogue(watched.letta)
    same(talk, alone)
    watched.all_arrives(talk.agent)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_redis_goes_down_in_the_middle_of_a_run(watched: Watched, alone: Dialogue, end: str) -> None:
    letta, redis = watched.letta, watched.pipe.redis
    tool = next(tool["id"] for tool in letta.get("/v1/tools/", name="add_numbers"))
    agent = letta.agent("interrupted", include_base_tools=False)["id"]
    letta.attach(agent, tool).ok()
    run = letta.start(agent, '[[wait 1]] [[call add_numbers {"a": 1, "b": 2}]] [[say Three.]]').ok()["id"]
    wait_until(
        lambda: watched.pipe.history().by(agent).of("agent.step.completed"), "the first step", timeout_s=30
    )
    assert not letta.ended(f"/v1/runs/{run}")
    (redis.kill if end == "kill" else redis.stop)()
    wait_until(lambda: letta.ended(f"/v1/runs/{run}"), "the run", timeout_s=30)
    assert letta.get(f"/v1/runs/{run}")["status"] == "completed"
    letta.detach(agent, tool).ok()
    talk = dialogue(letta)
    same(talk, alone)
    redis.start()
    watched.all_arrives(agent, talk.agent)


def test_letta_killed_while_redis_is_down(watched: Watched, alone: Dialogue) -> None:
    watched.pipe.redis.kill()
    talk = dialogue(watched.letta)
    same(talk, alone)
    watched.server.kill()
    watched.pipe.redis.start()
    watched.server.start()
    watched.all_arrives(talk.agent)
