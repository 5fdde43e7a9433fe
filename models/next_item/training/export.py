"""Making an artefact of a fitted session network, checked against what was fitted."""

import copy
import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch.nn.functional import embedding, normalize

from models.artefacts.card import write_artefact
from models.next_item.candidate_trees import CandidateTrees
from models.next_item.card import RANKER_FILE, Golden, NextItemCard, RankerCard
from models.next_item.cases import Cases
from models.next_item.item_table import ITEMS_FILE, ItemTable
from models.next_item.network import SessionNetwork
from models.next_item.training.fit import TOP, Epoch, Fitted
from models.next_item.training.nets import GruEncoder, SessionNet
from models.onnx_export import OnnxGru, export_onnx

TOLERANCE = 1e-4
"""Largest difference of a number of a session vector between machines."""
N_GOLDEN = 8
_BATCH, _TIME = 3, 7
"""Size of the inputs that torch follows through the encoder; the model is free in both."""
_LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "torch")


@dataclass(frozen=True, slots=True)
class Artefact:
    """What is written into a folder."""

    model: bytes
    card: NextItemCard
    table: ItemTable
    ranker: bytes | None = None
    """Trees that order candidates, in ONNX."""

    @property
    def beside(self) -> Mapping[str, bytes]:
        """The files beside model and card, by name."""
        of_ranker = {} if self.ranker is None else {RANKER_FILE: self.ranker}
        return {ITEMS_FILE: self.table.encode(), **of_ranker}

    def with_ranker(self, model: bytes, card: RankerCard) -> "Artefact":
        """The same with trees; raises `ArtefactError` if onnxruntime scores the golden rows otherwise."""
        CandidateTrees(model, card)
        return replace(self, card=replace(self.card, ranker=card).sealed(), ranker=model)

    def write(self, folder: Path) -> None:
        """Write it so that a reader finds the old files or the new ones, or refuses the mixture."""
        write_artefact(folder, self.model, self.card, self.beside)
        if self.ranker is None:
            (folder / RANKER_FILE).unlink(missing_ok=True)


def make_artefact(
    fitted: Fitted,
    ids: npt.NDArray[np.str_],
    cases: Cases,
    *,
    config: dict[str, Any],
    training: dict[str, Any],
    licence: str = "",
) -> Artefact:
    """Model, card and items; golden prefixes are some of `cases`.

    Raises `ArtefactError` if onnxruntime says something else of the golden prefixes.
    """
    model = to_onnx(fitted.net).SerializeToString(deterministic=True)
    with torch.inference_mode():
        vectors = normalize(fitted.net.items, dim=1).numpy()
    table = ItemTable(ids, vectors, fitted.counts)
    card = NextItemCard(
        model_sha256=hashlib.sha256(model).hexdigest(),
        items_sha256=hashlib.sha256(table.encode()).hexdigest(),
        length=fitted.net.config.length,
        config={"net": asdict(fitted.net.config), **config},
        training={"epochs": fitted.best.number, **training},
        metrics={"valid": _figures(fitted.best)},
        libraries={"python": platform.python_version(), **{name: installed(name) for name in _LIBRARIES}},
        licence=licence,
        golden=_golden(fitted.net, vectors, cases),
    ).sealed()
    SessionNetwork(model, card, table)
    return Artefact(model, card, table)


def to_onnx(net: SessionNet) -> onnx.ModelProto:
    """The encoder as a checked ONNX model with free batch and time.

    Inputs: `vectors` float32 (batch, time, width), left-aligned, and `lengths` int64 (batch,). Output:
    `session` (batch, width).
    """
    steps = min(_TIME, net.config.length)
    example = torch.zeros(_BATCH, steps, net.config.width), torch.full((_BATCH,), steps)
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    encoder = copy.deepcopy(net.encoder)
    if isinstance(encoder, GruEncoder):
        encoder.set_submodule("gru", OnnxGru(encoder.gru))
    model = export_onnx(
        encoder,
        example,
        inputs=("vectors", "lengths"),
        outputs=("session",),
        dynamic_shapes={"vectors": {0: batch, 1: time}, "lengths": {0: batch}},
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _golden(net: SessionNet, vectors: npt.NDArray[np.float32], cases: Cases) -> Golden:
    """Prefixes of all lengths, from the shortest to the longest."""
    order = np.argsort(cases.lengths, kind="stable")
    chosen = cases.take(order[np.linspace(0, len(order) - 1, N_GOLDEN).astype(np.int64)])
    rows, lengths = chosen.rows()
    with torch.inference_mode():
        table = torch.from_numpy(vectors)
        found = net.encoder(embedding(torch.from_numpy(rows), table), torch.from_numpy(lengths))
    rounded = np.round(found.numpy().astype(np.float64), 6)
    return Golden([prefix.tolist() for prefix in chosen.prefixes()], rounded.tolist(), TOLERANCE)


def _figures(epoch: Epoch) -> dict[str, float]:
    return {f"{name}@{TOP}": round(getattr(epoch, name), 5) for name in ("recall", "mrr", "ndcg")}
