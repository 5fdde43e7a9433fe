"""The card beside a model: what it was made from, what it must answer, and a digest over both."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

MODEL_FILE, CARD_FILE = "model.onnx", "card.json"
FORMAT = 1
VERSION_LENGTH = 12


class ArtefactError(ValueError):
    """A folder whose model must not be used, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactCard:
    """What the card of every model has. `version` is a digest of all of it, the model's included.

    A kind of model adds its fields in a subclass: its golden inputs with the outputs they gave, the names of
    the inputs, which `check_names` holds against those of the running code, and the digests of further files.
    """

    model_sha256: str
    config: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]
    libraries: dict[str, str]
    licence: str
    version: str = ""

    def sealed(self) -> Self:
        """The card with its version."""
        return replace(self, version=self._digest())

    def digests(self) -> Mapping[str, str]:
        """The files of the artefact beside the card, by name, and the SHA-256 of each."""
        return {MODEL_FILE: self.model_sha256}

    def check(self, model: bytes) -> None:
        """Raise `ArtefactError` unless model and card belong together and to the running code."""
        if hashlib.sha256(model).hexdigest() != self.model_sha256:
            raise ArtefactError(f"{MODEL_FILE} does not belong to its card: the SHA-256 differs")
        if self.version != self._digest():
            raise ArtefactError(f"{CARD_FILE} was changed: its version should be {self._digest()}")
        self.check_names()

    def check_names(self) -> None:
        """Raise `ArtefactError` if the model was made for other inputs or outputs than the running code's."""

    def encode(self) -> bytes:
        """JSON."""
        return orjson.dumps({"format": FORMAT, **self.to_plain()}) + b"\n"

    def to_plain(self) -> dict[str, Any]:
        """The fields as JSON has them; the version is a digest of them."""
        return asdict(self)

    def _digest(self) -> str:
        plain = replace(self, version="").to_plain()
        text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:VERSION_LENGTH]


C = TypeVar("C", bound=ArtefactCard)


def decode_card(text: bytes, make: Callable[[dict[str, Any]], C]) -> C:
    """The card that `make` makes of the JSON's fields; raises `ArtefactError` for anything else."""
    try:
        plain = orjson.loads(text)
        if plain.pop("format") != FORMAT:
            raise ArtefactError(f"{CARD_FILE} has another format; this version reads {FORMAT}")
        return make(plain)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise ArtefactError(f"{CARD_FILE} is damaged: {exc}") from exc


def check_same(what: str, theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    """Raise `ArtefactError` if a model's names of something are not those of the running code."""
    if theirs == ours:
        return
    missing, unknown = set(ours) - set(theirs), set(theirs) - set(ours)
    detail = f"missing {sorted(missing)}, unknown {sorted(unknown)}" if missing | unknown else "another order"
    raise ArtefactError(f"the model was made for other {what} than this version has: {detail}")


def check_golden(
    found: Mapping[str, npt.NDArray[np.floating]], expected: Mapping[str, Any], tolerance: float
) -> None:
    """Raise `ArtefactError` if an output differs from the golden one by more than `tolerance` anywhere."""
    for name, values in found.items():
        worst = float(np.abs(values - np.array(expected[name])).max(initial=0.0))
        if not worst <= tolerance:
            raise ArtefactError(f"golden outputs differ: {name} by {worst:.2g}, allowed is {tolerance:g}")


def check_files(files: Mapping[str, bytes], card: ArtefactCard) -> None:
    """Raise `ArtefactError` unless these are the files that the card lists, each whole."""
    wanted = card.digests()
    if files.keys() != wanted.keys():
        names = f"{', '.join(sorted(wanted))}, got {', '.join(sorted(files))}"
        raise ArtefactError(f"the card lists {names}")
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != wanted[name]:
            raise ArtefactError(f"{name} does not belong to its card: the SHA-256 differs")


def write_artefact(
    folder: Path, model: bytes, card: ArtefactCard, beside: Mapping[str, bytes] | None = None
) -> None:
    """Write all files so that a reader finds the old ones or the new ones, or refuses the mixture.

    `beside`: contents of further files by name, whose digests are in the card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**(beside or {}), MODEL_FILE: model, CARD_FILE: card.encode()}.items():
        written = folder / f".{name}.new"
        written.write_bytes(content)
        written.replace(folder / name)


def read_artefact(folder: Path, decode: Callable[[bytes], C]) -> tuple[bytes, C]:
    """Model and checked card of a folder; raises `ArtefactError`."""
    try:
        model, text = (folder / MODEL_FILE).read_bytes(), (folder / CARD_FILE).read_bytes()
    except OSError as exc:
        raise ArtefactError(f"{folder} has no readable {MODEL_FILE} and {CARD_FILE}: {exc}") from exc
    card = decode(text)
    card.check(model)
    return model, card
