import builtins
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts import Validator, ValidatorMissingError
from contracts.examples import EXAMPLES
from contracts.validation import PROBLEMS_MAX
from schemas import Problem, parse_event, type_of

STEP = type_of("agent.step.completed")


def pointers(problems: list[Problem]) -> list[str]:
    return [problem.pointer for problem in problems]


def test_every_problem_is_told_at_once_with_its_place() -> None:
    broken = {
        "event_id": "",
        "event_type": "agent.step.failed",
        "timestamp": "yesterday",
        "agent_id": None,
        "data": {"status": 1, "usage": {"prompt_tokens": "many"}},
    }
    problems = contracts.validate(STEP, broken)
    assert pointers(problems) == [
        "/data/agent_id",
        "/data/data/status",
        "/data/data/step_id",
        "/data/data/usage/prompt_tokens",
        "/data/event_id",
        "/data/event_type",
        "/data/organization_id",
        "/data/timestamp",
    ]
    assert all(problem.detail for problem in problems)


@pytest.mark.parametrize(
    "data", [None, [], "x", 1, 1.5, b"bytes", float("inf"), {"data": float("nan")}, {1: 2}]
)
def test_whatever_the_data_is_the_answer_is_a_list_of_problems(data: Any) -> None:
    assert contracts.validate(STEP, data)


def test_unknown_members_and_values_are_allowed() -> None:
    example = EXAMPLES["agent.step.completed"]
    data = example["data"] | {"status": "new", "stop_reason": "new", "new": {}, "usage": {"new_tokens": 1}}
    assert contracts.validate(STEP, example | {"data": data, "new": []}) == []


def test_a_type_without_a_contract_has_no_problems() -> None:
    assert contracts.validate("com.example.x", {"anything": 1}) == []
    assert contracts.validate("agent.step.completed", {}) == []


def test_the_number_of_problems_has_a_bound() -> None:
    data = EXAMPLES["tool.execution.completed"]["data"] | {"stdout": [1] * 1000}
    problems = contracts.validate(
        type_of("tool.execution.completed"), EXAMPLES["tool.execution.completed"] | {"data": data}
    )
    assert len(problems) == PROBLEMS_MAX


def test_details_do_not_repeat_what_was_sent_at_length() -> None:
    for broken in ({"timestamp": "x" * 100_000}, {"data": ["x"] * 100_000}):
        for problem in contracts.validate(STEP, EXAMPLES["agent.step.completed"] | broken):
            assert len(problem.detail) <= 300


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "jsonschema_rs":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValidatorMissingError, match=r"letta-gateway\[gateway\]"):
        Validator(contracts.load()).validate(STEP, {})


values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.just([]) | st.just({})
)


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_what_the_contract_allows_the_model_reads(short: str, data: st.DataObject) -> None:
    example = EXAMPLES[short]
    members = contracts.load().schema(type_of(short))["properties"]["data"]["properties"]
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(members)), values, max_size=4))
    changed = example | {"data": example["data"] | changes}
    if contracts.validate(type_of(short), changed) == []:
        assert parse_event(changed).event_type == short


@pytest.mark.parametrize(
    "schema",
    [{"pattern": "("}, {"pattern": "^(?=a)b"}, {"required": 1}, {"$ref": "http://127.0.0.1:1/schema"}],
)
def test_what_the_validator_does_not_take_is_told(schema: dict[str, Any]) -> None:
    with pytest.raises(contracts.SchemaError) as refused:
        contracts.Compiled(schema)
    assert "\n" not in str(refused.value)


def test_a_compiled_contract_tells_every_problem() -> None:
    compiled = contracts.Compiled(
        {"type": "object", "required": ["a"], "properties": {"b": {"pattern": "^(a+)+$"}}}
    )
    assert pointers(compiled.problems({"b": "a" * 20_000 + "b"})) == ["/data/a", "/data/b"]
    assert compiled.problems({"a": 1}) == []


def test_a_number_that_no_double_holds_is_not_called_null() -> None:
    compiled = contracts.Compiled({"type": "object", "properties": {"a/b": {"items": {"type": "number"}}}})
    (problem,) = compiled.problems({"a/b": [1, float("-inf")]})
    assert problem.pointer == "/data/a~1b/1"
    assert "number too large" in problem.detail
    (null,) = compiled.problems({"a/b": [None]})
    assert null.detail == 'null is not of type "number"'
    (whole,) = contracts.Compiled({"type": "integer"}).problems(float("inf"))
    assert (whole.pointer, "number too large" in whole.detail) == ("/data", True)
