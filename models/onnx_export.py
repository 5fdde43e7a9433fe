"""Exporting a torch network as an ONNX model, whatever the network."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import Tensor, nn

OPSET = 18


def export_onnx(
    net: nn.Module,
    example: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_shapes: Mapping[str, Mapping[int, Any]],
) -> onnx.ModelProto:
    """The network in evaluation mode, not checked yet, as it computes `outputs` of inputs like `example`.

    `dynamic_shapes` says which dimensions of an input are free, as `torch.export.Dim`.
    """
    with _quiet():
        program = torch.onnx.export(
            net.eval(), example, dynamo=True, verbose=False, opset_version=OPSET,
            dynamic_shapes=dict(dynamic_shapes), input_names=inputs, output_names=outputs,
        )  # fmt: skip
    model: onnx.ModelProto = program.model_proto  # type: ignore[union-attr]  # None only without dynamo
    _strip(model)
    return model


class OnnxGru(nn.Module):
    """A GRU of one layer, batch first, as ONNX's operator.

    Exported by torch itself, it takes prefixes of one length only as soon as another was exported before in
    the same process (seen with torch 2.13).
    """

    inputs: Tensor
    states: Tensor
    biases: Tensor

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self.width = gru.hidden_size
        weights = gru.state_dict()
        biases = [_as_onnx(weights[name]) for name in ("bias_ih_l0", "bias_hh_l0")]
        self.register_buffer("inputs", _as_onnx(weights["weight_ih_l0"])[None])
        self.register_buffer("states", _as_onnx(weights["weight_hh_l0"])[None])
        self.register_buffer("biases", torch.cat(biases)[None])

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """States (batch, time, width) and the last of them (1, batch, width), as of the GRU."""
        batch, time = rows.shape[:2]
        every, last = torch.onnx.ops.symbolic_multi_out(
            "GRU",
            (rows.transpose(0, 1), self.inputs, self.states, self.biases),
            {"hidden_size": self.width, "linear_before_reset": 1},
            dtypes=(rows.dtype, rows.dtype),
            shapes=((time, 1, batch, self.width), (1, batch, self.width)),
            version=OPSET,
        )
        return every.squeeze(1).transpose(0, 1), last


def _as_onnx(weight: Tensor) -> Tensor:
    """A weight or bias of a GRU in ONNX's order of gates: torch has reset, update, new."""
    reset, update, new = weight.chunk(3)
    return torch.cat([update, reset, new])


def _strip(model: onnx.ModelProto) -> None:
    """Take out what says how torch came to each node: it is half as large as the weights."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    del graph.value_info[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says about itself while it exports: nothing of it is about the network."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
