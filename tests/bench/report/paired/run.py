"""One run of the report: what it was asked to do, and what all rows share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from paired.receiver import Receiver

# A key for measuring, known to everybody; 32 bytes in base64 behind the prefix of the standard.
SECRET = "whsec_" + "bGV0dGEtZ2F0ZXdheS1iZW5jaC1zZWNyZXQtMzJieXQ="
AT_ONCE = 64


@dataclass
class Run:
    """What every row gets.

    Attributes:
        events: What one measurement delivers; a slow peer gets a part of it.
        rounds: How often each row is measured.
        folder: Where databases and logs are put while it lasts.
        compiled: Where the project lies with its hot path compiled; None: it is measured as its sources are.
    """

    receiver: Receiver
    folder: Path
    events: int
    rounds: int
    body_bytes: int
    compiled: Path | None = None
    secret: str = SECRET
    at_once: int = AT_ONCE
    _tags: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    tag: int = 0

    def within_s(self, events: int) -> float:
        """How long so many deliveries may take before it is called a failure: far more than any row needs."""
        return 60 + events / 50

    @contextmanager
    def place(self) -> Iterator[Path]:
        """An empty folder for one measurement; also makes its messages differ from those of all others."""
        self.tag = next(self._tags)
        with TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
