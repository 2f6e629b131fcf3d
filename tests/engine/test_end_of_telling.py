"""The end of a process: the last figures and the last spans go out side by side."""

import threading

import anyio
import anyio.to_thread

from gateway.app import _end_telling
from otel.spans import EndedSpan
from otel.traceparent import TraceParent

WITHIN_S = 20


class Closing:
    """Each of the two waits for the other to have begun."""

    def __init__(self, figures: threading.Event) -> None:
        self.figures = figures
        self.begun = threading.Event()
        self.met = False

    def samples(self, _trace: TraceParent, *, is_root: bool) -> bool:
        return is_root

    def shown(self, text: str) -> str:
        return text

    def record(self, span: EndedSpan) -> None:
        raise AssertionError(span)

    def close(self, _timeout_s: float) -> None:
        self.begun.set()
        self.met = self.figures.wait(WITHIN_S)


def test_figures_and_spans_are_sent_at_once() -> None:
    begun = threading.Event()
    tracing = Closing(begun)

    async def figures() -> None:
        begun.set()
        assert await anyio.to_thread.run_sync(tracing.begun.wait, WITHIN_S)

    anyio.run(_end_telling, tracing, figures)
    assert tracing.met


def test_where_nothing_is_traced_the_figures_are_sent() -> None:
    begun = threading.Event()

    async def figures() -> None:
        begun.set()

    anyio.run(_end_telling, None, figures)
    assert begun.is_set()
