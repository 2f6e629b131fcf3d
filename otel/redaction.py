"""Text that may hold a secret, made fit for a log or a span: pure.

Two sieves, one behind the other. Secrets that the process knows are replaced wherever they stand, in each of their
spellings; and whatever has the shape of one (a password in a URL, a bearer token, a signing secret) is replaced
whoever's it is.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from otel.spellings import spellings

MASK: Final = "***"
SECRET_CHARS_MIN: Final = 4
"""What is shorter stands in too many words to be looked for."""

_Masking = Callable[[str], str]


def _masking(pattern: str, flags: int = 0) -> _Masking:
    """Masks what follows ``kept``."""
    return partial(re.compile(pattern, flags).sub, rf"\g<kept>{MASK}")


_SHAPES: Final[tuple[tuple[tuple[str, ...], _Masking], ...]] = (
    # A user or a password in a URL: its host is what one needs to see.
    (("@",), _masking(r"(?P<kept>\b[a-zA-Z][a-zA-Z0-9+.-]{0,31}://)[^\s/?#@\"'<>]{1,512}(?=@)")),
    (("bearer", "basic"), _masking(r"(?P<kept>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE)),
    # Standard Webhooks' secrets, and tokens of this gateway.
    (("whsec_", "whsk_", "lgw_"), _masking(r"\b(?P<kept>whsec_|whsk_|lgw_)[A-Za-z0-9+/=_-]{8,}")),
    # Members of a query that carry one, ours (`sig`) among them.
    (
        ("=",),
        _masking(
            r"(?P<kept>[?&;](?:sig|signature|token|access_token|api_?key|key|secret|password|auth)=)[^\s&#\"'<>]+",
            re.IGNORECASE,
        ),
    ),
    (("/handshake/",), _masking(r"(?P<kept>/handshake/)[A-Za-z0-9_-]{8,}")),
)
"""Each with signs, in lower case, of which whatever has the shape has one: most texts have none, and cost no search."""


class Redaction:
    """Takes secrets out of text."""

    def __init__(self, known: Iterable[str]) -> None:
        """``known``: the secrets of this process."""
        found = {form for secret in known if len(secret) >= SECRET_CHARS_MIN for form in spellings(secret)}
        # The longest first, or a part of one that is masked would leave the rest of it standing.
        self._known = tuple(sorted(found, key=lambda text: (-len(text), text)))

    def touches(self, said: str) -> bool:
        """Whether there may be one in it: nearly always not, and this is what that costs."""
        lower = said.lower()
        shaped = any(sign in lower for signs, _ in _SHAPES for sign in signs)
        return shaped or any(form in said for form in self._known)

    def text(self, said: str) -> str:
        """The same without secrets."""
        for form in self._known:
            said = said.replace(form, MASK)
        lower = said.lower()
        for signs, masking in _SHAPES:
            if any(sign in lower for sign in signs):
                said = masking(said)
        return said
