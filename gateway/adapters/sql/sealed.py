"""What the vault keeps of a subscription: sealed when it is written, checked when it is read, opened when it is used.

Of a hundred thousand subscriptions a few are at work. Only their sinks and secrets lie open in memory, the
latest used ones; all others stay as they lie in the table.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from gateway.adapters.vault import Keyring
from gateway.domain.rotation import Secret
from gateway.domain.subscription import PULL_SINK, Handshake, SubscriptionSpec
from gateway.ports import Opened

OPENED_MAX = 4_096
SPEC = "subscription"
SECRETS = "subscription-secrets"
KINDS = (SPEC, SECRETS)
"""Everything that the vault keeps of a subscription: what goes with it. The vault is found by kind and owner."""


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row of the vault without its owner."""

    revision: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Implements ``gateway.ports.Private``: the two sealed documents of a subscription. Equal where the rows are."""

    vault: "SubscriptionVault" = field(compare=False, repr=False)
    owner: str
    document: SealedRow
    signing: SealedRow
    pull_only: bool
    fetches_token: bool
    wants_handshake: bool

    @property
    def spec(self) -> SubscriptionSpec:
        """See ``Private.spec``."""
        return self.vault.opened(self).spec

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """See ``Private.secrets``."""
        return self.vault.opened(self).secrets


class SubscriptionVault:
    """Seals and opens, and remembers what was opened last: bounded in number. Any thread may call it.

    What was opened first goes first, however much it is used: a delivery asks a dozen times, and then nothing has to
    be moved, nor locked. It is opened again where it is still at work.
    """

    def __init__(self, keyring: Keyring, *, opened_max: int = OPENED_MAX) -> None:
        self._keyring = keyring
        self._opened_max = opened_max
        self._opened: OrderedDict[tuple[str, int, int], Opened] = OrderedDict()
        self._lock = Lock()

    def spec_row(self, owner: str, revision: int, spec: SubscriptionSpec) -> dict[str, Any]:
        """The row for what was asked for at a revision."""
        return self._row(SPEC, owner, revision, spec.to_json())

    def secrets_row(self, owner: str, revision: int, secrets: Sequence[Secret]) -> dict[str, Any]:
        """The row for the signing secrets, the oldest first; its revision counts the rotations."""
        document: dict[str, object] = {
            "secrets": [secret.text for secret in secrets],
            "until_us": [secret.until_us for secret in secrets],
        }
        if any(secret.seed is not None for secret in secrets):
            document["seeds"] = [None if secret.seed is None else secret.seed.hex() for secret in secrets]
        return self._row(SECRETS, owner, revision, document)

    def sealed(self, owner: str, document: SealedRow, signing: SealedRow) -> Sealed:
        """Two rows as they were read, and left sealed.

        Both are checked here and not where they are opened: a lost key or a damaged row is for whoever reads the
        subscription (the start of the gateway, a command) and not for a delivery under way. Raises ``VaultError``.
        """
        members = json.loads(self._plain(SPEC, owner, document))
        self._plain(SECRETS, owner, signing)
        credential = members.get("sinkcredential") or {}
        return Sealed(
            self,
            owner,
            document,
            signing,
            pull_only=members["sink"] == PULL_SINK,
            fetches_token="tokenurl" in credential,
            wants_handshake=members["config"]["handshake"] == Handshake.REQUIRED,
        )

    def opened(self, sealed: Sealed) -> Opened:
        """Both documents, open."""
        key = (sealed.owner, sealed.document.revision, sealed.signing.revision)
        found = self._opened.get(key)
        if found is not None:
            return found
        spec = self.spec(sealed.owner, sealed.document)
        signing = json.loads(self._plain(SECRETS, sealed.owner, sealed.signing))
        texts = signing["secrets"]
        # Before there were rotations, there was one secret and no end of it.
        ends = signing.get("until_us", [None] * len(texts))
        seeds = [None if text is None else bytes.fromhex(text) for text in signing.get("seeds", ())]
        opened = Opened(spec, tuple(map(Secret, texts, ends, seeds or [None] * len(texts))))
        with self._lock:
            self._opened[key] = opened
            while len(self._opened) > self._opened_max:
                self._opened.popitem(last=False)
        return opened

    def spec(self, owner: str, document: SealedRow) -> SubscriptionSpec:
        """What was asked for, once, without being remembered. Raises ``VaultError``."""
        return SubscriptionSpec.from_json(json.loads(self._plain(SPEC, owner, document)))

    def forget(self, owner: str) -> None:
        """Drop what lies open of a subscription that was deleted."""
        with self._lock:
            for key in [key for key in self._opened if key[0] == owner]:
                del self._opened[key]

    def _row(self, kind: str, owner: str, revision: int, document: Mapping[str, object]) -> dict[str, Any]:
        sealed = self._keyring.seal(
            json.dumps(document, separators=(",", ":")).encode(), kind=kind, owner=owner, revision=revision
        )
        return {"kind": kind, "owner": owner, "revision": revision, "sealed": sealed}

    def _plain(self, kind: str, owner: str, row: SealedRow) -> bytes:
        return self._keyring.open(row.sealed, kind=kind, owner=owner, revision=row.revision)
