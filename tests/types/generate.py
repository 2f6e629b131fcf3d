"""Write the types that are committed beside the contracts anew: python tests/types/generate.py [FOLDER].

Each contract is named through and through (`contracts.titles`), then handed to `json-schema-to-typescript` and to
`datamodel-code-generator`, both in `.venv-types`.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import contract_tools

from contracts import load
from contracts.rendering import FORMATS, text_path
from contracts.store import HOME
from contracts.titles import titled, type_name

HERE = Path(__file__).resolve().parent
_MADE = {
    "typescript": ("// ", "json-schema-to-typescript", ("node", str(HERE / "generate.mjs"))),
    "pydantic": ("# ", "datamodel-code-generator", ("python", str(HERE / "generate_models.py"))),
}
"""How a line is commented, what makes the text, and how it is run."""


def generate(folder: Path) -> list[Path]:
    """Write every text below a folder and return the paths."""
    contract_tools.make()
    known = load()
    asked = [(event_type, version) for event_type in known.types() for version in known.versions(event_type)]
    written = []
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "schemas"
        source.mkdir()
        for event_type, version in asked:
            schema = titled(known.schema(event_type, version), type_name(event_type))
            (source / _stem(event_type, version)).with_suffix(".json").write_text(json.dumps(schema))
        for name, (comment, tool, command) in _MADE.items():
            contract_tools.run(*command, str(source), scratch)
            for event_type, version in asked:
                made = (Path(scratch) / _stem(event_type, version)).with_suffix(FORMATS[name].suffix)
                about = (
                    f"{comment}{type_name(event_type)}, version {version}, made from its contract by {tool}."
                )
                path = folder / text_path(event_type, version, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{about}\n\n{made.read_text().strip()}\n")
                written.append(path)
    return written


def _stem(event_type: str, version: int) -> str:
    return f"{type_name(event_type)}-{version}"


if __name__ == "__main__":
    for path in generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HOME):
        print(path)
