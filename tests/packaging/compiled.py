"""Compile what each event and each delivery goes through (docs/decisions/0028-compiled.md): `just compiled`.

Two things come of it: a wheel for this interpreter and platform, in `dist`, and the project's tree with the same
extension modules in it, in `.compiled`, from which tests and benchmarks run. Nothing is put beside the sources
themselves: an extension module there would be imported in their place long after they had changed.
"""

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".compiled"
DIST = ROOT / "dist"
NOT_POSSIBLE = 77
"""The exit code where nothing is wrong, but this machine cannot compile; whoever can do without goes on."""
_STAMP = ".built-from"
_NOT_IN_WHEEL = ("tests", "docs")


def main() -> int:
    missing = _missing()
    if missing:
        print(f"it cannot be compiled here: {missing}", file=sys.stderr)
        return NOT_POSSIBLE
    with (ROOT / ".compiled.lock").open("w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = _unpacked(Path(folder))
        stamp = _stamp(fresh)
        built_from, _, wheel = _text(TREE / _STAMP).partition("\n")
        if built_from == stamp and (DIST / wheel).is_file():
            _renew(fresh)
            print(f"as compiled before: {TREE.name}, and {DIST.name}/{wheel}")
            return 0
        if TREE.exists():
            shutil.rmtree(TREE)
        shutil.move(fresh, TREE)
        wheel = _built(TREE)
        (TREE / _STAMP).write_text(f"{stamp}\n{wheel}")
    print(f"compiled: {TREE.name}, and {DIST.name}/{wheel}")
    return 0


def _missing() -> str:
    """What is not here that a compiler run needs, and how to get it; empty: nothing."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no {compiler}; install a C compiler, or name one in CC"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers are missing; install them (Debian: python3-dev)"
    return ""


def _unpacked(folder: Path) -> Path:
    """The project as its source distribution has it: without what lies about in a working copy."""
    _build("--sdist", "--outdir", str(folder), str(ROOT))
    (archive,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(archive, folder)
    return folder / archive.name.removesuffix(".tar.gz")


def _stamp(tree: Path) -> str:
    """What wheel and extension modules are made of, in short: all that is no test and no document, and which Python."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()}".encode())
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        name = path.relative_to(tree)
        if name.parts[0] not in _NOT_IN_WHEEL:
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _renew(fresh: Path) -> None:
    """Put in place what nothing is made of."""
    for name in _NOT_IN_WHEEL:
        shutil.rmtree(TREE / name)
        shutil.copytree(fresh / name, TREE / name)


def _built(tree: Path) -> str:
    """Compile a tree in place; the name of the wheel that was made of it."""
    modules = _named(tree)
    _check_sources(modules)
    with tempfile.TemporaryDirectory() as folder:
        _build("--wheel", "--outdir", folder, str(tree), HATCH_BUILD_HOOK_ENABLE_MYPYC="1")
        (wheel,) = Path(folder).glob("*.whl")
        DIST.mkdir(exist_ok=True)
        shutil.copy(wheel, DIST)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    lacking = [str(module) for module in modules if not module.with_suffix(suffix).exists()]
    if lacking:
        raise SystemExit(f"not compiled: {', '.join(lacking)}")
    return wheel.name


def _named(tree: Path) -> list[Path]:
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    names = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    modules = [tree / name.removeprefix("/") for name in names]
    lacking = [str(module.relative_to(tree)) for module in modules if not module.exists()]
    if lacking:
        raise SystemExit(f"pyproject.toml names, to be compiled, what is not there: {', '.join(lacking)}")
    return modules


def _check_sources(modules: Sequence[Path]) -> None:
    """What mypyc takes and makes something else of, without a word."""
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Raise) and not (
                node.cause is None or isinstance(node.cause, ast.Constant)
            ):
                where = f"{module.relative_to(TREE)}:{node.lineno}"
                raise SystemExit(
                    f"{where}: compiled, it would lose its cause; leave the module out in pyproject.toml"
                )


def _build(*arguments: str, **environment: str) -> None:
    given = os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")} | environment
    done = subprocess.run(
        [sys.executable, "-m", "build", *arguments], env=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{done.stderr}\nit cannot be built, see above")


if __name__ == "__main__":
    sys.exit(main())
