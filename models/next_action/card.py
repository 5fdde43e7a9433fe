"""The card beside a model: what it was made from, what it must answer, and a digest over both."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from models.next_action.actions import TARGETS
from models.next_action.features import CONTEXT_FEATURES, ID_FEATURES, STEP_FEATURES

MODEL_FILE, CARD_FILE = "model.onnx", "card.json"
FORMAT = 1
VERSION_LENGTH = 12


class ArtefactError(ValueError):
    """A folder whose model must not be used, and why."""


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


@dataclass(frozen=True, slots=True)
class Card:
    """Everything about a model but its weights. `version` is a digest of all of it, the model's included.

    `id_features` are the names whose hashes the model reads beside each step; none unless it was trained on
    one's own shop.
    """

    model_sha256: str
    step_features: tuple[str, ...]
    context_features: tuple[str, ...]
    targets: tuple[str, ...]
    config: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]
    libraries: dict[str, str]
    licence: str
    golden: Golden
    surrogate: Surrogate
    version: str = ""
    id_features: tuple[str, ...] = ()

    def sealed(self) -> "Card":
        """The card with its version."""
        return replace(self, version=self._digest())

    def check(self, model: bytes) -> None:
        """Raise `ArtefactError` unless model and card belong together and to the running code."""
        if hashlib.sha256(model).hexdigest() != self.model_sha256:
            raise ArtefactError(f"{MODEL_FILE} is not the model of its card: its SHA-256 differs")
        if self.version != self._digest():
            raise ArtefactError(f"{CARD_FILE} was changed: its version should be {self._digest()}")
        _same("step features", self.step_features, STEP_FEATURES)
        _same("context features", self.context_features, CONTEXT_FEATURES)
        _same("targets", self.targets, TARGETS)
        if self.id_features:
            _same("names", self.id_features, ID_FEATURES)

    def encode(self) -> bytes:
        """JSON."""
        return orjson.dumps({"format": FORMAT, **_plain(self)}) + b"\n"

    def _digest(self) -> str:
        plain = _plain(replace(self, version=""))
        text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:VERSION_LENGTH]


def decode_card(text: bytes) -> Card:
    """The card in JSON; raises `ArtefactError` for anything else."""
    try:
        plain = orjson.loads(text)
        if plain.pop("format") != FORMAT:
            raise ArtefactError(f"{CARD_FILE} is of another format, this version reads {FORMAT}")
        plain.setdefault("id_features", ())
        for name in ("step_features", "context_features", "targets", "id_features"):
            plain[name] = tuple(plain[name])
        plain["golden"] = Golden(**plain["golden"])
        plain["surrogate"] = Surrogate(**plain["surrogate"])
        return Card(**plain)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise ArtefactError(f"{CARD_FILE} is damaged: {exc}") from exc


def read_artefact(folder: Path) -> tuple[bytes, Card]:
    """Model and checked card of a folder; raises `ArtefactError`."""
    try:
        model, text = (folder / MODEL_FILE).read_bytes(), (folder / CARD_FILE).read_bytes()
    except OSError as exc:
        raise ArtefactError(f"{folder} has no readable {MODEL_FILE} and {CARD_FILE}: {exc}") from exc
    card = decode_card(text)
    card.check(model)
    return model, card


def _plain(card: Card) -> dict[str, Any]:
    """As JSON; of a model that reads no names, the card says nothing of names."""
    plain = asdict(card)
    if not card.id_features:
        del plain["id_features"], plain["golden"]["ids"]
    return plain


def _same(what: str, theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    if theirs == ours:
        return
    missing, unknown = set(ours) - set(theirs), set(theirs) - set(ours)
    detail = f"missing {sorted(missing)}, unknown {sorted(unknown)}" if missing | unknown else "another order"
    raise ArtefactError(f"the model was made for other {what} than this version's: {detail}")
