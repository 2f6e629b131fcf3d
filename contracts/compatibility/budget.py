"""How much one judgement may compare: it bounds the time, whatever the schemas are."""


class TooLargeError(ValueError):
    """There is more to compare than anybody should wait for."""


class Budget:
    """Steps that are left, for all comparisons of one judgement together."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps. Raises ``TooLargeError`` where none are left."""
        self._left -= steps
        if self._left < 0:
            raise TooLargeError
