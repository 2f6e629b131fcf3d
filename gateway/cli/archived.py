"""What a list of events does not show because it was archived: said once, beside the list."""

from gateway.cli.client import Json
from gateway.cli.output import say


class ArchivedNote:
    """Looks at the pages of a list of events as they come; `say` then says up to where events were archived."""

    def __init__(self) -> None:
        self._until: tuple[int, str] | None = None

    def look(self, page: Json) -> None:
        """Take what a page says of the part of the log that it shows."""
        said = page.get("archived_until")
        if isinstance(said, dict):
            found = int(said["position"]), str(said["appended_at"])
            self._until = found if self._until is None else max(found, self._until)

    def say(self) -> None:
        """Print a line of diagnostics, if anything was archived."""
        if self._until is None:
            return
        position, appended_at = self._until
        say(
            f"Events up to position {position}, appended until {appended_at}, were archived, and were not looked at. "
            "`letta-gateway archive list` shows an administrator what there is, and `letta-gateway archive restore "
            "POSITION` puts it back."
        )
