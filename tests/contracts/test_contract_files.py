import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import contracts
from contracts import store
from contracts.docs import PAGE, events_page, write_events_page
from contracts.examples import EXAMPLES
from contracts.export import UnknownKeywordError, _schema, exported
from schemas import SHORT_NAMES, parse_event, type_of

HOME = Path(contracts.__file__).parent
OUTER = ["event_id", "event_type", "timestamp", "agent_id", "organization_id", "data"]
REQUIRED = {
    "agent.step.completed": {"step_id", "status"},
    "agent.step.failed": {"step_id", "status"},
    "agent.message.sent": {"message_id"},
    "agent.tool.attached": {"tool_id"},
    "agent.tool.detached": {"tool_id"},
    "agent.run.completed": {"run_id", "status"},
    "agent.job.completed": {"job_id", "status"},
    "tool.execution.completed": {"tool_id", "status"},
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(HOME / "com.letta", tmp_path / "com.letta")
    return tmp_path


def below(schema: Any) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from below(inner)
    if "items" in schema:
        yield from below(schema["items"])


def test_models_and_files_are_the_same() -> None:
    assert contracts.check() == []
    assert {path.relative_to(HOME).as_posix() for path in HOME.rglob("*.json")} >= exported().keys()


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_a_contract_is_a_plain_described_open_object(short: str) -> None:
    schema = contracts.load().schema(type_of(short))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"com.letta/{short}/1.json"
    assert (schema["title"], schema["type"]) == (short, "object")
    assert schema["required"] == OUTER == list(schema["properties"])
    assert schema["properties"]["event_type"]["const"] == short
    assert set(schema["properties"]["data"]["required"]) == REQUIRED[short]
    jsonschema_rs.meta.validate(schema)
    text = json.dumps(schema)
    assert not {"$ref", "$defs", "additionalProperties", "enum", "anyOf"} & set(
        re.findall(r'"([^"]+)":', text)
    )
    for part in below(schema):
        for name, member in part.get("properties", {}).items():
            assert member["description"].endswith("."), name


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_each_example_is_valid_against_its_contract_and_its_model(short: str) -> None:
    (example,) = contracts.load().schema(type_of(short))["examples"]
    assert example == EXAMPLES[short]
    assert contracts.validate(type_of(short), example) == []
    assert parse_event(example).event_type == short


def test_only_a_job_may_be_without_an_agent() -> None:
    for short in SHORT_NAMES:
        problems = contracts.validate(type_of(short), EXAMPLES[short] | {"agent_id": None})
        assert [problem.pointer for problem in problems] == ([] if "job" in short else ["/data/agent_id"])


def test_lookup() -> None:
    loaded = contracts.load()
    assert loaded.types() == sorted(map(type_of, SHORT_NAMES))
    assert loaded.versions("com.letta.agent.step.completed") == [1]
    assert loaded.latest("com.letta.agent.step.completed") == 1
    assert (loaded.versions("com.example.x"), loaded.latest("com.example.x")) == ([], None)
    for missing in (("com.example.x", None), ("com.letta.agent.step.completed", 2)):
        with pytest.raises(KeyError):
            loaded.schema(*missing)


def test_the_served_contract_carries_its_own_address() -> None:
    url = contracts.schema_url("https://gateway.example/", "com.letta.agent.step.completed", 1)
    assert (
        url
        == "https://gateway.example/registry/schemagroups/com.letta/schemas/agent.step.completed/versions/1"
    )
    served = contracts.load().schema_bytes("com.letta.agent.step.completed", 1, "https://gateway.example")
    schema = json.loads(served)
    assert schema["$id"] == url
    assert schema == contracts.load().schema("com.letta.agent.step.completed") | {"$id": url}
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(EXAMPLES["agent.step.completed"])


def test_export_writes_the_committed_bytes(tmp_path: Path) -> None:
    written = contracts.export(tmp_path)
    assert len(written) == len(SHORT_NAMES)
    for path in written:
        assert path.read_bytes() == (HOME / path.relative_to(tmp_path)).read_bytes()
    assert contracts.check(tmp_path) == []
    assert contracts.load_from(tmp_path) == contracts.load()


def test_check_names_what_differs_is_missing_or_extra(copied: Path) -> None:
    group = copied / "com.letta"
    (group / "agent.run.completed/1.json").unlink()
    (group / "agent.job.completed/1.json").write_bytes(b"{}")
    (group / "agent.job.completed/2.json").write_bytes(b"{}")
    (group / "other.json").write_bytes(b"{}")
    complaints = [line.split(": ") for line in contracts.check(copied)]
    assert [(name, reason.split()[0].rstrip(";")) for name, reason in complaints] == [
        ("com.letta/agent.job.completed/1.json", "differs"),
        ("com.letta/agent.job.completed/2.json", "extra"),
        ("com.letta/agent.run.completed/1.json", "missing"),
        ("com.letta/other.json", "extra"),
    ]


def test_a_released_contract_never_changes(copied: Path) -> None:
    contracts.seal(copied)
    assert contracts.check(copied) == []
    path = copied / "com.letta/agent.run.completed/1.json"
    path.write_bytes(path.read_bytes() + b"\n")
    assert any("changed after its release" in line for line in contracts.check(copied))
    with pytest.raises(contracts.ContractsError):
        contracts.seal(copied)
    path.unlink()
    assert any("removed after its release" in line for line in contracts.check(copied))


def test_an_export_does_not_overwrite_what_was_released(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts.seal(copied)
    monkeypatch.setitem(EXAMPLES, "agent.run.completed", EXAMPLES["agent.run.completed"] | {"new": 1})
    with pytest.raises(contracts.ContractsError, match="new version"):
        contracts.export(copied)
    assert contracts.load_from(copied) == contracts.load()


def test_an_older_version_stays_beside_the_new_one(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts.seal(copied)
    monkeypatch.setattr("schemas.events.RunCompleted.contract_version", 2)
    assert [line.split(":")[0] for line in contracts.check(copied)] == [
        "com.letta/agent.run.completed/2.json"
    ]
    contracts.export(copied)
    assert contracts.check(copied) == []
    loaded = contracts.load_from(copied)
    assert loaded.versions("com.letta.agent.run.completed") == [1, 2]
    assert loaded.schema("com.letta.agent.run.completed")["$id"].endswith("/2.json")
    assert loaded.schema("com.letta.agent.run.completed", 1)["$id"].endswith("/1.json")


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.json", "{}"), ("a.b/0.json", "{}"), ("a.b/1.json", "{"), ("a.b/1.json", "[]"), ("a.b/1.json", "{}")],
)
def test_a_damaged_folder_is_told_by_name(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / "com.letta" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(contracts.ContractsError, match=re.escape(name)):
        contracts.load_from(tmp_path)


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "integer", "minimum": 0},
        {"type": "object", "additionalProperties": False},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"enum": ["a"]},
    ],
)
def test_a_keyword_nobody_decided_on_stops_the_export(foreign: dict[str, Any]) -> None:
    with pytest.raises(UnknownKeywordError):
        _schema(foreign, {})


def test_the_page_of_events_is_fresh(tmp_path: Path) -> None:
    committed = HOME.parent / "docs" / PAGE
    assert committed.read_text(encoding="utf-8") == events_page()
    assert write_events_page(tmp_path).read_text(encoding="utf-8") == events_page()
    for short in SHORT_NAMES:
        assert f"## {short}\n" in events_page()


def test_contracts_are_found_in_the_package() -> None:
    assert store.HOME == HOME
