"""The documents, judged by those who wrote the specifications: their own schemas and validators."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONTRACTS = HERE.parents[1] / "contracts"


def test_the_openapi_document_is_one_by_openapi_s_own_schema(tools: Any) -> None:
    said = tools.run(
        "python", "-m", "openapi_spec_validator", "--schema", "3.1", str(CONTRACTS / "openapi.json")
    )
    assert said.strip().endswith("OK")


def test_that_schema_refuses_what_is_wrong(tools: Any, tmp_path: Path) -> None:
    broken = tmp_path / "openapi.json"
    broken.write_text((CONTRACTS / "openapi.json").read_text().replace('"in": "header"', '"in": "hat"', 1))
    try:
        tools.run("python", "-m", "openapi_spec_validator", "--schema", "3.1", str(broken))
    except tools.ToolError:
        return
    raise AssertionError("a header in a hat was let through")


def asyncapi(tools: Any, file: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(tools.run("node", str(HERE / "asyncapi.mjs"), str(file)))
    return said


def test_the_asyncapi_document_is_one_by_asyncapi_s_own_parser(tools: Any) -> None:
    said = asyncapi(tools, CONTRACTS / "asyncapi.json")
    assert said["valid"], said["said"]
    # A newer version of the specification is there; anything else it has to say is for us.
    assert [one for one in said["said"] if one["code"] != "asyncapi-latest-version"] == []
    assert len(said["channels"]) == 12
    assert said["operations"][0] == ["receive", "ingest"]
    assert {action for action, _ in said["operations"][1:]} == {"send"}


def test_that_parser_refuses_what_is_wrong(tools: Any, tmp_path: Path) -> None:
    broken = tmp_path / "asyncapi.json"
    broken.write_text(
        (CONTRACTS / "asyncapi.json").read_text().replace('"action": "receive"', '"action": "take"')
    )
    assert not asyncapi(tools, broken)["valid"]
