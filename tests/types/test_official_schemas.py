"""The documents, judged by those who wrote the specifications: their own schemas and validators."""

from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).parents[2] / "contracts"


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
