"""What is told of events that were archived: never that there are none (S8)."""

from gateway.api.services import Services
from gateway.errors import Archived


async def check_present(service: Services, first: int, last: int) -> None:
    """Raises ``Archived`` where a part of this range was archived and has left the log."""
    found = await service.log.absent(first, last)
    if found is not None:
        raise Archived(
            f"Positions {found[0]} to {found[1]} were archived.",
            hint=(
                "Begin behind them, or have an administrator put them back: "
                f"`letta-gateway archive restore {found[0]}`."
            ),
        )
