"""What a comparison finds, in words: of the same finding, one sentence for each of the two sides it can hurt."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Side(Enum):
    """Whom a breaking change hurts."""

    READERS = auto()
    """Who reads by an older version what the new one produces."""
    PRODUCERS = auto()
    """Who still produces by an older version, what the new one is to read."""


class Kind(StrEnum):
    """What is wrong: the produced schema allows what the read one does not."""

    REMOVED = "removed"
    OPTIONAL = "optional"
    TYPE = "type"
    VALUES = "values"
    LIMIT = "limit"
    SAME = "same"
    OPEN = "open"
    EXTRA = "extra"
    NOTHING = "nothing"
    BRANCH = "branch"
    CIRCLE = "circle"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place, and a clause about it.

    Attributes:
        place: Through members, items and keywords, with references followed and branches opened.
        reason: The clause.
        branches: The schemas, by `id`, that were chosen where the posted document branches.
    """

    place: tuple[str | int, ...]
    reason: str
    branches: tuple[int, ...] = ()


_SENTENCES = {
    Side.READERS: {
        Kind.REMOVED: "was removed or renamed; readers of an older version look for it",
        Kind.OPTIONAL: "was required and is no longer",
        Kind.TYPE: "type was widened: it may now be {}",
        Kind.VALUES: "values were added to what was a closed list: {}",
        Kind.LIMIT: "{} was widened or dropped",
        Kind.SAME: "{} was changed or dropped, and whether older readers accept what is new cannot be decided",
        Kind.OPEN: "{} was dropped: members that an older version refuses may now be there",
        Kind.EXTRA: "was added, where an older version allows no other members than its own",
        Kind.NOTHING: "an older version allows nothing here",
        Kind.BRANCH: "what it may be now fits none, or not surely one, of an older version's {}",
        Kind.BESIDE: "what {} is about depends on what stands beside it, and cannot be decided",
        Kind.CIRCLE: "a reference leads back to where it stands, so nothing can be decided here",
    },
    Side.PRODUCERS: {
        Kind.REMOVED: "was added",
        Kind.OPTIONAL: "is required now; data of an older version may lack it",
        Kind.TYPE: "type was narrowed: data of an older version may be {}",
        Kind.VALUES: "values were taken out of a closed list, or the list closed: {}",
        Kind.LIMIT: "{} was narrowed or added",
        Kind.SAME: "{} was changed or added, and whether it accepts data of an older version cannot be decided",
        Kind.OPEN: "{} was added: data of an older version may have other members",
        Kind.EXTRA: "was removed, and no other members are allowed any more",
        Kind.NOTHING: "nothing is allowed here any more",
        Kind.BRANCH: "data of an older version may fit none, or not surely one, of its {}",
        Kind.BESIDE: "what {} is about depends on what stands beside it, and cannot be decided",
        Kind.CIRCLE: "a reference leads back to where it stands, so nothing can be decided here",
    },
}


def clause(side: Side, kind: Kind, what: str = "") -> str:
    """The words for a finding; `what` is the keyword or the values that it is about."""
    return _SENTENCES[side][kind].replace("{}", what)
