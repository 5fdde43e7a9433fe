"""A fitted network as an ONNX model: what torch exports, with ONNX's own recurrent operator inside.

Trees that are blended with it are in the same graph, as ONNX's operator for them.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from models.next_action.encoding import MAX_STEPS
from models.next_action.features import ID_FEATURES
from models.next_action.training import tree_table
from models.next_action.training.calibration import Calibration
from models.next_action.training.nets import N_ACTIONS, N_OUTPUTS, ActionNet, BiGru, CnnBiGru, Recurrent
from models.next_action.training.tree_table import TreeTable
from models.onnx_export import OPSET, export_onnx

INPUTS = "steps", "lengths", "context", "ids"
OUTPUTS = "probabilities", "purchase"
_BATCH, _TIME = 3, 7
"""Size of the inputs that torch follows through the network; the model is free in both."""


def to_onnx(net: ActionNet, calibration: Calibration, trees: TreeTable | None = None) -> onnx.ModelProto:
    """The network as a checked ONNX model with free batch and time.

    What `trees` add up to, six numbers for each row of `evaluation.flat`, is added to the calibrated logits.

    Inputs: `steps` float32 (batch, time, features), `lengths` int64 (batch,), `context` float32 (batch,
    features), and for a network with buckets `ids` int64 (batch, time, kinds). Outputs: `probabilities`
    (batch, 5) and `purchase` (batch,), calibrated.
    """
    example = _example(net)
    names = INPUTS[: len(example)]
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    by_step, by_case = {0: batch, 1: time}, {0: batch}
    shapes = {"steps": by_step, "lengths": by_case, "context": by_case, "ids": by_step}
    model = export_onnx(
        _Answer(net, calibration, trees),
        example,
        inputs=names,
        outputs=OUTPUTS,
        dynamic_shapes={name: shapes[name] for name in names},
    )
    if trees is not None and trees.roots:
        _plant(model, trees)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Answer(nn.Module):
    """What the model answers: the network's logits, calibrated, and those of trees, as probabilities."""

    scale: Tensor
    bias: Tensor

    def __init__(self, net: ActionNet, calibration: Calibration, trees: TreeTable | None) -> None:
        super().__init__()
        self.net = _with_onnx_cells(net)
        self.has_trees = trees is not None and bool(trees.roots)
        bias = calibration.bias if trees is None else (calibration.bias + trees.base).astype(np.float32)
        self.register_buffer("scale", torch.from_numpy(calibration.scale))
        self.register_buffer("bias", torch.from_numpy(bias))

    def forward(
        self, steps: Tensor, lengths: Tensor, context: Tensor, ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        logits = self.net(steps, lengths, context, ids) * self.scale + self.bias
        if self.has_trees:
            logits = logits + _ask_trees(_flatten(steps, lengths, context))
        return torch.softmax(logits[:, :N_ACTIONS], dim=1), torch.sigmoid(logits[:, N_ACTIONS])


def _flatten(steps: Tensor, lengths: Tensor, context: Tensor) -> Tensor:
    """The rows of `evaluation.flat`: the context, then the steps, newest first; 0 where there is none."""
    batch, time, width = steps.shape
    back = lengths[:, None] - 1 - torch.arange(MAX_STEPS)[None, :]
    places = back.clamp(min=0) + time * torch.arange(batch)[:, None]
    turned = torch.where(back[:, :, None] >= 0, steps.flatten(0, 1)[places], 0.0)
    return torch.cat([context, turned.reshape(batch, MAX_STEPS * width)], dim=1)


def _ask_trees(rows: Tensor) -> Tensor:
    """The operator, bare: torch takes no arrays for attributes, `_plant` puts them in."""
    return torch.onnx.ops.symbolic(
        f"{tree_table.DOMAIN}::{tree_table.OPERATOR}",
        (rows,),
        dtype=rows.dtype,
        shape=(rows.shape[0], N_OUTPUTS),
        version=tree_table.VERSION,
    )


def _plant(model: onnx.ModelProto, trees: TreeTable) -> None:
    """Put the trees into their operator."""
    (node,) = (node for node in model.graph.node if node.op_type == tree_table.OPERATOR)
    node.attribute.extend(trees.attributes())


class _OnnxCells(nn.Module):
    """A recurrent trunk as ONNX's operator, which stops at the length of each case and runs both directions.

    As torch exports its own GRU, the padding is computed too, and the steps are reversed by gathering them:
    measured, 1.2 to 1.4 times the time of a prediction.
    """

    inputs: Tensor
    states: Tensor
    biases: Tensor

    def __init__(self, cells: Sequence[nn.RNNBase]) -> None:
        super().__init__()
        self.operator = "GRU" if isinstance(cells[0], nn.GRU) else "LSTM"
        self.width, self.directions = cells[0].hidden_size, len(cells)
        for name, parts in (
            ("inputs", ["weight_ih_l0"]),
            ("states", ["weight_hh_l0"]),
            ("biases", ["bias_ih_l0", "bias_hh_l0"]),
        ):
            own = [torch.cat([self._reorder(getattr(cell, part)) for part in parts]) for cell in cells]
            self.register_buffer(name, torch.stack(own))  # (directions, ...)

    def forward(self, rows: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        batch, time = rows.shape[:2]
        attributes: dict[str, Any] = {
            "hidden_size": self.width,
            "direction": "bidirectional" if self.directions == 2 else "forward",
        }
        if self.operator == "GRU":
            attributes["linear_before_reset"] = 1  # as torch has it
        every, last = torch.onnx.ops.symbolic_multi_out(
            self.operator,
            (rows.transpose(0, 1), self.inputs, self.states, self.biases, lengths.to(torch.int32)),
            attributes,
            dtypes=(rows.dtype, rows.dtype),
            shapes=((time, self.directions, batch, self.width), (self.directions, batch, self.width)),
            version=OPSET,
        )
        total = (every * mask.transpose(0, 1)[:, None, :, None]).sum(dim=0)  # (directions, batch, width)
        parts = [part.transpose(0, 1).flatten(1) for part in (last, total / lengths[None, :, None])]
        return torch.cat(parts, dim=1)

    def _reorder(self, weight: Tensor) -> Tensor:
        """A weight or bias of a cell in ONNX's order of gates."""
        # torch: reset, update, new (GRU) and in, forget, cell, out (LSTM); ONNX: z r h and i o f c.
        order = (1, 0, 2) if self.operator == "GRU" else (0, 3, 1, 2)
        gates = weight.detach().chunk(len(order))
        return torch.cat([gates[place] for place in order])


def _with_onnx_cells(net: ActionNet) -> ActionNet:
    """A copy of the network for the export."""
    made = copy.deepcopy(net)
    trunk = made.trunk
    if isinstance(trunk, CnnBiGru):
        made.set_submodule(
            "trunk.recurrent", _OnnxCells([trunk.recurrent.forwards, trunk.recurrent.backwards])
        )
    elif isinstance(trunk, BiGru):
        made.set_submodule("trunk", _OnnxCells([trunk.forwards, trunk.backwards]))
    elif isinstance(trunk, Recurrent):
        made.set_submodule("trunk", _OnnxCells([trunk.forwards]))
    return made


def _example(net: ActionNet) -> tuple[Tensor, ...]:
    steps = torch.zeros(_BATCH, _TIME, len(net.normalisation.step_mean))
    lengths = torch.full((_BATCH,), _TIME, dtype=torch.int64)
    context = torch.zeros(_BATCH, net.n_context)
    ids = torch.zeros(_BATCH, _TIME, len(ID_FEATURES), dtype=torch.int64)
    return (steps, lengths, context) if net.names is None else (steps, lengths, context, ids)
