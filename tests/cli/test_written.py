"""Files that commands write: whole or not there, and a refusal that names the place and the option."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.written import ONES_OWN, written
from gateway.errors import CommandError


@pytest.fixture(autouse=True)
def _umask() -> Any:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(("mode", "expected"), [(ONES_OWN, 0o600), (0o666, 0o644)])
def test_it_has_its_name_once_it_is_whole(tmp_path: Path, mode: int, expected: int) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.part").write_text("left by another")
    with written(path, "--to", mode=mode) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == expected
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space is left on the device. Free some, or choose another --to."),
        (errno.EIO, f"{os.strerror(errno.EIO)}. Choose another --to."),
    ],
)
def test_nothing_is_left_of_what_could_not_be_written(tmp_path: Path, number: int, said: str) -> None:
    def write(path: Path) -> None:
        with written(path, "--to") as file:
            file.write(b"half")
            raise OSError(number, os.strerror(number))

    for name in ("new", "old"):
        path = tmp_path / name
        if name == "old":
            path.write_text("as it was")
        with pytest.raises(CommandError) as caught:
            write(path)
        assert str(caught.value) == f"{path}: {said}"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old", "as it was")]


def test_a_full_disk_is_told_with_the_file_and_the_option(command: Any, tmp_path: Path) -> None:
    result = command("contracts", "typescript", "--output", "/dev/full")
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        "/dev/full: no space is left on the device. Free some, or choose another --output." in result.stderr
    )
    result = command("contracts", "pydantic", "--output", str(tmp_path / "none" / "file"))
    assert result.returncode == 1
    assert (
        f"{tmp_path / 'none' / 'file'}: No such file or directory. Choose another --output." in result.stderr
    )
    assert list(tmp_path.iterdir()) == []
