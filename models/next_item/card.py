"""The card of a session network: golden prefixes with the vectors they gave, and a digest of its items."""

from dataclasses import asdict, dataclass
from typing import Any

from models.artefacts import card as artefacts
from models.artefacts.card import ArtefactCard


@dataclass(frozen=True, slots=True)
class Golden:
    """Prefixes of item codes and the session vectors they gave; `tolerance` is absolute."""

    prefixes: list[list[int]]
    vectors: list[list[float]]
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NextItemCard(ArtefactCard):
    """Everything about a session network but its weights. Of a prefix it reads the newest `length` items."""

    items_sha256: str
    length: int
    golden: Golden

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def decode_card(text: bytes) -> NextItemCard:
    """The card in JSON; raises `models.artefacts.card.ArtefactError` for anything else."""
    return artefacts.decode_card(text, _make)


def _make(plain: dict[str, Any]) -> NextItemCard:
    plain["golden"] = Golden(**plain["golden"])
    return NextItemCard(**plain)
