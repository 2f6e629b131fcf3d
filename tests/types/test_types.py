"""Types for consumers: as committed, made from the contracts; and used as consumers use them, by tsc, mypy and Node."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import contracts
from contracts.examples import EXAMPLES
from contracts.rendering import FORMATS, module, module_of, render, text_path
from contracts.titles import type_name

HERE = Path(__file__).parent
CONSUMERS = HERE / "consumers"
TSC = (
    "tsc",
    "--strict",
    "--noUncheckedIndexedAccess",
    "--target",
    "es2022",
    "--lib",
    "es2022",
    "--module",
    "esnext",
)
PAYLOADS = json.dumps(list(EXAMPLES.values()))
SEEN = {
    "agent.step.completed": "step-1b5e3c0e-8f5c-4f43-9c1a-7a4f6e1d2b22",
    "agent.step.failed": "Rate limited by OpenAI: 429",
    "agent.message.sent": "The meeting is on Friday at ten.",
    "agent.tool.attached": "tool-9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b66",
    "agent.tool.detached": "tool-9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b66",
    "agent.run.completed": "run-7d9e2f64-1c3b-4e8a-b0d6-9e8f7a6b5c44",
    "agent.job.completed": "job-31415926-5358-4979-8323-846264338377",
    "tool.execution.completed": "tool-9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b66",
}


def mypy(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", "", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def placed(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """A consumer in a folder of its own, changed where a test is to see that the change is refused."""
    text = (CONSUMERS / name).read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / name).write_text(text)
    return folder / name


def texts_below(folder: Path) -> dict[str, str]:
    suffixes = {one.suffix for one in FORMATS.values()}
    found = (path for path in folder.rglob("*") if path.suffix in suffixes)
    return {f"{path.parent.name}/{path.name}": path.read_text() for path in found}


# Without Node: what is committed, and how it is found.


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("event_type", contracts.load().types())
def test_every_version_of_every_contract_has_its_text(name: str, event_type: str) -> None:
    for version in contracts.load().versions(event_type):
        found = render(name, event_type, version)
        assert found is not None, "run: just generate-types"
        assert type_name(event_type) in found.text
    assert render(name, event_type) == found
    assert found.text.strip().partition("\n\n")[2].strip().splitlines()[-1] in module(name)


@pytest.mark.parametrize(
    ("name", "event_type", "version"),
    [
        ("cobol", "com.letta.agent.run.completed", 1),
        ("typescript", "com.letta.agent.run.completed", 99),
        ("typescript", "com.letta.agent.run.dreamt", None),
        ("typescript", "org.example.paid", 1),
        ("pydantic", "com.letta.../../secrets", 1),
    ],
)
def test_what_has_no_text_is_none(name: str, event_type: str, version: int | None) -> None:
    assert render(name, event_type, version) is None


def test_names_of_types_are_taken_from_the_event_s() -> None:
    assert type_name("agent.step.completed") == type_name("com.letta.agent.step.completed")
    assert type_name("com.letta.agent.step_two.v2") == "AgentStepTwoV2"


OWN = [
    ("org.example.paid", 1),
    ("org.example.paid-", 1),
    ("com.letta.cloud", 1),
    ("com.letta.none", 1),
    ("a.1", 3),
]
OWN += [("com.letta.agent.run.completed", 99)]


def test_what_has_no_text_is_an_open_object_beside_those_that_have(tools: Any, tmp_path: Path) -> None:
    asked = [("com.letta.agent.run.completed", 1), *OWN]
    (tmp_path / "events.ts").write_text(module_of("typescript", asked))
    (tmp_path / "use.ts").write_text(
        'import type { LettaCloudEvent, OrgExamplePaidEvent } from "./events";\n'
        "export function about(event: LettaCloudEvent): string {\n"
        '  if (event.type === "org.example.paid") {\n'
        "    const paid: OrgExamplePaidEvent = event.data;\n"
        "    return typeof paid;\n"
        "  }\n"
        "  return event.type;\n"
        "}\n"
    )
    tools.run(*TSC, "--noEmit", "use.ts", folder=tmp_path)
    (tmp_path / "events.py").write_text(module_of("pydantic", asked))
    done = mypy(tmp_path / "events.py")
    assert done.returncode == 0, done.stdout
    code = "from events import OrgExamplePaidEvent as Paid; assert Paid.model_validate({'a': 1}).a == 1"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("asked", [[], [("org.example.paid", 1)], [("com.letta.agent.run.completed", 1)]])
def test_a_module_of_none_or_one_is_one_too(tools: Any, tmp_path: Path, asked: list[tuple[str, int]]) -> None:
    (tmp_path / "events.ts").write_text(module_of("typescript", asked))
    tools.run(*TSC, "--noEmit", "events.ts", folder=tmp_path)
    (tmp_path / "events.py").write_text(module_of("pydantic", asked))
    subprocess.run([sys.executable, "-c", "import events"], cwd=tmp_path, check=True)


def test_a_module_of_open_objects_alone_has_no_union_of_payloads() -> None:
    text = module_of("typescript", [("org.example.paid", 1)])
    assert "LettaEvent" not in text
    assert "export type LettaCloudEvent" in text


# `from schemas import parse_event`, as mypy sees it.


def test_parse_event_gives_a_union_that_mypy_narrows(tmp_path: Path) -> None:
    done = mypy(placed(tmp_path, "from_schemas.py"))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("        case UnknownEvent():\n            return event.type\n", ""), "UnknownEvent"),
        (("event.data.run_id, str)", "event.data.job_id, str)"), 'has no attribute "job_id"'),
    ],
)
def test_a_forgotten_case_or_another_event_s_member_is_an_error(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    done = mypy(placed(tmp_path, "from_schemas.py", change))
    assert done.returncode == 1
    assert said in done.stdout


# `letta-gateway contracts pydantic`.


@pytest.fixture
def pydantic_consumer(tmp_path: Path) -> Path:
    (tmp_path / "events.py").write_text(module("pydantic"))
    return placed(tmp_path, "from_pydantic.py")


def test_pydantic_models_check_and_read_every_example(pydantic_consumer: Path) -> None:
    done = mypy(pydantic_consumer)
    assert done.returncode == 0, done.stdout
    said = subprocess.run(
        [sys.executable, pydantic_consumer, PAYLOADS], capture_output=True, text=True, check=True
    ).stdout
    assert dict(one.split(" ", 1) for one in json.loads(said)) == SEEN


def test_pydantic_models_keep_what_a_newer_sender_adds(pydantic_consumer: Path) -> None:
    code = (
        "import json, sys; from events import LETTA_EVENT\n"
        "for one in json.loads(sys.argv[1]):\n"
        "    one['new'] = 1; one['data']['new'] = {'deep': None}\n"
        "    back = json.loads(LETTA_EVENT.dump_json(LETTA_EVENT.validate_python(one), exclude_unset=True))\n"
        "    assert back == one, (back, one)\n"
    )
    folder = pydantic_consumer.parent
    subprocess.run([sys.executable, "-c", code, PAYLOADS], cwd=folder, check=True)


def test_a_thin_event_has_a_model_of_its_own(pydantic_consumer: Path) -> None:
    (pydantic_consumer.parent / "thin.py").write_text(
        "import sys\n\nfrom events import ThinCloudEvent\nfrom pydantic import ValidationError\n\n"
        "link: str = ThinCloudEvent.model_validate_json(sys.argv[1]).dataref\n"
        "try:\n    ThinCloudEvent.model_validate_json(sys.argv[2])\n"
        "except ValidationError as error:\n    print(link, error.error_count())\n"
    )
    done = mypy(pydantic_consumer.parent / "thin.py")
    assert done.returncode == 0, done.stdout
    bare = {"specversion": "1.0", "id": "1", "source": "/s", "type": "com.letta.agent.run.completed"}
    thin, whole = bare | {"dataref": "https://g/1", "partitionkey": "agent-1"}, bare | {"data": {}}
    command = [sys.executable, "thin.py", json.dumps(thin), json.dumps(whole)]
    folder = pydantic_consumer.parent
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    assert said == "https://g/1 2\n"


# `letta-gateway contracts typescript`, by tsc and Node.


@pytest.fixture
def typescript(tmp_path: Path) -> Path:
    (tmp_path / "events.ts").write_text(module("typescript"))
    (tmp_path / "node.d.ts").write_text(
        "declare const process: { argv: string[] };\ndeclare const console: { log(text: string): void };\n"
    )
    return tmp_path


def test_typescript_compiles_and_runs_over_every_example(tools: Any, typescript: Path) -> None:
    file = placed(typescript, "from_typescript.ts")
    tools.run(*TSC, "--outDir", "out", file.name, "node.d.ts", folder=typescript)
    made = typescript / "out" / "from_typescript.js"
    script = shutil.move(made, made.with_suffix(".mjs"))
    said = tools.run("node", str(script), PAYLOADS)
    assert dict(one.split(" ", 1) for one in json.loads(said)) == SEEN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('    case "agent.tool.detached":\n', ""), "not assignable to parameter of type 'never'"),
        (("return event.data.run_id;", "return event.data.job_id;"), "unknown"),
        (("  if (event.data === undefined) {\n    const link", "  {\n    const link"), "'unknown' is not"),
        (("failed: AgentStepFailed = event", "failed: string = event"), "not assignable to type 'string'"),
    ],
)
def test_typescript_refuses_what_is_wrong(
    tools: Any, typescript: Path, change: tuple[str, str], said: str
) -> None:
    file = placed(typescript, "from_typescript.ts", change)
    with pytest.raises(tools.ToolError, match=said):
        tools.run(*TSC, "--noEmit", file.name, "node.d.ts", folder=typescript)


ANY_VALUE = """\
import type { ToolExecutionCompletedData } from "./events";

export function returned(data: ToolExecutionCompletedData): string {
  const value = data.func_return;
  if (typeof value === "string") return value.trim();
  if (typeof value === "number") return value.toFixed(2);
  return value === null ? "nothing" : JSON.stringify(value);
}

type Returned = Pick<ToolExecutionCompletedData, "func_return">;
export const each: Returned[] = [{ func_return: "4" }, { func_return: null }, { func_return: 4 }, { func_return: [] }];
"""


def test_a_member_that_may_be_any_value_is_narrowed_by_the_consumer(tools: Any, typescript: Path) -> None:
    (typescript / "any.ts").write_text(ANY_VALUE)
    tools.run(*TSC, "--noEmit", "any.ts", folder=typescript)


def documented() -> list[str]:
    pages = [HERE.parents[1] / "README.md", *(HERE.parents[1] / "docs").rglob("*.md")]
    return [
        text
        for page in pages
        for text in re.findall(r"^```ts\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    ]


def test_typescript_of_the_documentation_compiles(tools: Any, typescript: Path) -> None:
    assert documented()
    for number, text in enumerate(documented()):
        (typescript / f"block{number}.ts").write_text(text + "export {};\n")
        tools.run(*TSC, "--noEmit", f"block{number}.ts", "node.d.ts", folder=typescript)


def test_the_committed_texts_are_what_the_generators_make(tools: Any, tmp_path: Path) -> None:
    tools.run(sys.executable, str(HERE / "generate.py"), str(tmp_path), folder=HERE.parents[1])
    made = texts_below(tmp_path)
    known = contracts.load()
    expected = {
        text_path(event_type, version, name).removeprefix("com.letta/")
        for event_type in known.types()
        for version in known.versions(event_type)
        for name in FORMATS
    }
    assert made.keys() == expected
    assert texts_below(contracts.store.HOME / "com.letta") == made, "run: just generate-types"
