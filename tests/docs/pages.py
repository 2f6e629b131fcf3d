"""The code blocks of README and docs, and what becomes of each."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "quickstart-transcript.md"),
)
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)

# Languages whose blocks are no code: pictures, and what goes over the wire.
PICTURES = frozenset({"", "text", "mermaid"})
# Run in `test_pages.py`, where their handlers are called, and in `tests/schemas/test_signatures.py`.
CALLED = frozenset({"python", "js"})

# By page and first line: what is not run here, and why.
NOT_RUN = {
    ("README.md", "pip install rust-just && just demo"): "`.ci/run` runs `just demo` as a step of its own",
    ("README.md", "pip install rust-just && just test"): "it is this",
    (
        "README.md",
        "python3 -m venv .venv && . .venv/bin/activate && pip install '.[gateway]'",
    ): "`just wheel` installs what this installs, and runs the demo from it",
}


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: Path
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """The page, as seen from the top of the repository."""
        return str(self.page.relative_to(ROOT))

    @property
    def why_not(self) -> str | None:
        """Why it is not run, if it is not."""
        return NOT_RUN.get((self.name, self.text.splitlines()[0]))

    def __str__(self) -> str:
        return f"{self.name}, block {self.number}:\n{self.text}"


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order, without the indentation of the list that they stand in."""
    found = []
    for number, (indent, language, text) in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8"))):
        lines = [line.removeprefix(indent) for line in text.splitlines()]
        found.append(Block(page, number, language, "\n".join(lines) + "\n"))
    return found
