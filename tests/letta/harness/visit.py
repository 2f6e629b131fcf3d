"""What a tour of one server has left: for the tests that compare what was told with what is listed."""

from dataclasses import dataclass

from harness.api import Letta
from harness.ledger import Ledger
from harness.pipe import Pipe
from harness.receiver import Receiver
from harness.server import LettaServer
from harness.told import History
from harness.tour import Diary


@dataclass(frozen=True)
class Visit:
    """The server, what was done to it, what it lists, what was told until then, and where more arrives."""

    letta: Letta
    server: LettaServer
    diary: Diary
    ledger: Ledger
    history: History
    callbacks: Receiver
    pipe: Pipe
