"""The card of a session network, its golden prefixes and digests, and what it says of a ranker beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.artefacts import card as artefacts
from models.artefacts.card import MODEL_FILE, ArtefactCard, check_same
from models.artefacts.trees import GoldenRows
from models.next_item.item_table import ITEMS_FILE
from models.recommendation.candidates import FEATURES

RANKER_FILE = "ranker.onnx"


@dataclass(frozen=True, slots=True)
class Golden:
    """Prefixes of item codes and the session vectors they gave; `tolerance` is absolute."""

    prefixes: list[list[int]]
    vectors: list[list[float]]
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerCard:
    """The trees that order candidates. `features` are those of `FEATURES` that they read."""

    sha256: str
    features: tuple[str, ...]
    golden: GoldenRows
    config: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextItemCard(ArtefactCard):
    """Everything about a session network but its weights. Of a prefix it reads the newest `length` items.

    `ranker`: None where the folder has none.
    """

    items_sha256: str
    length: int
    golden: Golden
    ranker: RankerCard | None = None

    def check_names(self) -> None:
        """See `ArtefactCard.check_names`."""
        if self.ranker is not None:
            known = tuple(name for name in FEATURES if name in self.ranker.features)
            check_same("features of candidates", self.ranker.features, known)

    def digests(self) -> Mapping[str, str]:
        """See `ArtefactCard.digests`."""
        of_ranker = {} if self.ranker is None else {RANKER_FILE: self.ranker.sha256}
        return {MODEL_FILE: self.model_sha256, ITEMS_FILE: self.items_sha256, **of_ranker}

    def to_plain(self) -> dict[str, Any]:
        """As JSON, without a ranker where there is none: cards from before rankers keep their digests."""
        plain = asdict(self)
        if self.ranker is None:
            del plain["ranker"]
        return plain


def decode_card(text: bytes) -> NextItemCard:
    """The card in JSON; raises `models.artefacts.card.ArtefactError` for anything else."""
    return artefacts.decode_card(text, _make)


def _make(plain: dict[str, Any]) -> NextItemCard:
    plain["golden"] = Golden(**plain["golden"])
    ranker = plain.get("ranker")
    if ranker is not None:
        features, golden = tuple(ranker["features"]), GoldenRows(**ranker["golden"])
        plain["ranker"] = RankerCard(**{**ranker, "features": features, "golden": golden})
    return NextItemCard(**plain)
