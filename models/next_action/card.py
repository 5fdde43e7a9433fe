"""The card of a next-action model: golden inputs, what imitates it for reasons, and names of its inputs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.artefacts import card as artefacts
from models.artefacts.card import ArtefactCard, ArtefactError, check_same
from models.next_action.actions import TARGETS
from models.next_action.features import CONTEXT_FEATURES, ID_FEATURES, STEP_FEATURES
from models.next_action.rates import RATE_FEATURES

_IN_FILE = (
    "model_sha256", "step_features", "context_features", "targets", "config", "training", "metrics",
    "libraries", "licence", "golden", "surrogate", "version", "id_features",
)  # fmt: skip
"""Fields in the order of the file."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and the outputs they gave when the model was made, as nested lists; `tolerance` is absolute.

    `ids` None: the model reads no names.
    """

    steps: list[list[list[float]]]
    lengths: list[int]
    context: list[list[float]]
    probabilities: list[list[float]]
    purchase: list[float]
    tolerance: float
    ids: list[list[list[int]]] | None = None


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A sum of piecewise linear curves, one per context feature, that imitates the purchase logit.

    Bin i clips `(context[feature[i]] - low[i]) * inverse[i]` to 0 to 1 and weighs its distance from
    `mean[i]`. `fidelity` is the share of the logit's variance that it explains on cases it was not fitted on.
    """

    feature: list[int]
    low: list[float]
    inverse: list[float]
    weight: list[float]
    mean: list[float]
    intercept: float
    fidelity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NextActionCard(ArtefactCard):
    """Everything about a model but its weights.

    `context_features` may end with `RATE_FEATURES`, which the stream then supplies.
    `id_features` are the names whose hashes the model reads beside each step; none unless it was trained on
    one's own shop.
    """

    step_features: tuple[str, ...]
    context_features: tuple[str, ...]
    targets: tuple[str, ...]
    golden: Golden
    surrogate: Surrogate
    id_features: tuple[str, ...] = ()

    @property
    def reads_rates(self) -> bool:
        """Whether the model reads how items convert."""
        return len(self.context_features) > len(CONTEXT_FEATURES)

    def check_names(self) -> None:
        """See `ArtefactCard.check_names`."""
        check_same("step features", self.step_features, STEP_FEATURES)
        expected = (*CONTEXT_FEATURES, *RATE_FEATURES) if self.reads_rates else CONTEXT_FEATURES
        check_same("context features", self.context_features, expected)
        check_same("targets", self.targets, TARGETS)
        expected_numbers = len(self.context_features)
        for row in self.golden.context:
            if len(row) != expected_numbers:
                raise ArtefactError(f"golden context has {len(row)} numbers, it names {expected_numbers}")
        if self.id_features:
            check_same("names", self.id_features, ID_FEATURES)

    def to_plain(self) -> dict[str, Any]:
        """As JSON; of a model that reads no names, the card says nothing of names."""
        fields = asdict(self)
        plain = {name: fields[name] for name in _IN_FILE}
        if not self.id_features:
            del plain["id_features"], plain["golden"]["ids"]
        return plain


def decode_card(text: bytes) -> NextActionCard:
    """The card in JSON; raises `models.artefacts.card.ArtefactError` for anything else."""
    return artefacts.decode_card(text, _make)


def read_artefact(folder: Path) -> tuple[bytes, NextActionCard]:
    """Model and checked card of a folder; raises `models.artefacts.card.ArtefactError`."""
    return artefacts.read_artefact(folder, decode_card)


def _make(plain: dict[str, Any]) -> NextActionCard:
    plain.setdefault("id_features", ())
    for name in ("step_features", "context_features", "targets", "id_features"):
        plain[name] = tuple(plain[name])
    plain["golden"] = Golden(**plain["golden"])
    plain["surrogate"] = Surrogate(**plain["surrogate"])
    return NextActionCard(**plain)
