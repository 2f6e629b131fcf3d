"""Compile what each event and each delivery goes through (docs/decisions/0028-compiled.md): `just compiled`.

Two things come of it: a wheel for this interpreter and platform, in `dist`, and the project's tree with the same
extension modules in it, in `.compiled`, from which tests and benchmarks run. Nothing is put beside the sources
themselves: an extension module there would be imported in their place long after they had changed.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".compiled"
DIST = ROOT / "dist"
_PACKAGES = ("gateway", "schemas", "letta_emitter", "contracts", "otel")
_STAMP = ".built-from"


def main() -> int:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        print(
            f"{compiler}, the C compiler that this Python was made with, is not there; install it",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory() as folder:
        fresh = _unpacked(Path(folder))
        stamp = _stamp(fresh)
        if _text(TREE / _STAMP) == stamp:
            _renew(fresh)
            print(f"as compiled before: {TREE.name}")
            return 0
        shutil.rmtree(TREE, ignore_errors=True)
        shutil.move(fresh, TREE)
    modules = _named(TREE)
    _check_sources(modules)
    _build(TREE, DIST, HATCH_BUILD_HOOK_ENABLE_MYPYC="1")
    _check_built(modules)
    (TREE / _STAMP).write_text(stamp)
    print(f"compiled: {TREE.name}, and a wheel in {DIST.name}")
    return 0


def _unpacked(folder: Path) -> Path:
    """The project as its source distribution has it: without what lies about in a working copy."""
    _run("--sdist", "--outdir", str(folder), str(ROOT))
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _stamp(tree: Path) -> str:
    """What the extension modules depend on, in short: the packages, how they are built, and for which Python."""
    digest = hashlib.sha256(sys.version.encode())
    files = [path for package in _PACKAGES for path in sorted((tree / package).rglob("*.py"))]
    for path in (*files, tree / "pyproject.toml", tree / "constraints.txt"):
        digest.update(f"{path.relative_to(tree)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _renew(fresh: Path) -> None:
    """Put in place what nothing is compiled from: tests, documents, contracts."""
    shutil.rmtree(TREE / "tests")
    shutil.copytree(fresh, TREE, dirs_exist_ok=True)


def _build(tree: Path, out: Path, **environment: str) -> None:
    _run(
        "--wheel",
        "--outdir",
        str(out),
        str(tree),
        PIP_CONSTRAINT=str(ROOT / "constraints.txt"),
        **environment,
    )


def _run(*arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "build", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{done.stderr}\nit cannot be built, see above")


def _named(tree: Path) -> list[Path]:
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    names = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    return [tree / name.removeprefix("/") for name in names]


def _check_sources(modules: Sequence[Path]) -> None:
    """What mypyc takes and makes something else of, without a word."""
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            where = f"{module.relative_to(TREE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Raise) and isinstance(node.cause, ast.Name):
                raise SystemExit(
                    f"{where}: compiled, it would lose its cause; leave the module out in pyproject.toml"
                )


def _check_built(modules: Sequence[Path]) -> None:
    """Each module that is named has become one: a name that is misspelled would pass unseen."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    missing = [str(module) for module in modules if not module.with_suffix(suffix).exists()]
    if missing:
        raise SystemExit(f"not compiled: {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main())
