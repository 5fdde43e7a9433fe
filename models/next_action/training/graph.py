"""The ONNX graph of a network with its normalisation and calibration inside.

Written node by node: ONNX's recurrent operators take the length of each prefix themselves, so that padding is
neither computed nor seen, and the file needs nothing but the operators named here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.next_action.training.calibration import Calibration
from models.next_action.training.names import NameTables
from models.next_action.training.nets import CLIP, KERNEL, ActionNet, BiGru, Cnn, CnnBiGru

OPSET = 18
IR_VERSION = 9
INPUTS = STEPS, LENGTHS, CONTEXT, IDS = "steps", "lengths", "context", "ids"
PROBABILITIES, PURCHASE = "probabilities", "purchase"

Floats = npt.NDArray[np.float32]


def build_model(net: ActionNet, calibration: Calibration) -> onnx.ModelProto:
    """The network as a checked ONNX model with free batch and time.

    Inputs: `steps` float32 (batch, time, features), `lengths` int64 (batch,), `context` float32 (batch,
    features), and for a network with buckets `ids` int64 (batch, time, kinds). Outputs: `probabilities`
    (batch, 5) and `purchase` (batch,), calibrated.
    """
    graph = _Graph()
    rows, mask = _prepare_steps(graph, net)
    trunk = _trunk(graph, net, rows, mask)
    _finish(graph, net, trunk, calibration)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "next_action", _inputs(net), _outputs(), graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="storepulse",
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants in the making; every method gives the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, value: torch.Tensor | Floats) -> str:
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        return self.constant(array.astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def add_rnn(self, op: str, inputs: list[str], **attributes: Any) -> tuple[str, str]:
        """All states (time, directions, batch, width) and the last ones (directions, batch, width)."""
        every, last = f"n{len(self.nodes)}_every", f"n{len(self.nodes)}_last"
        self.nodes.append(helper.make_node(op, inputs, [every, last], **attributes))
        return every, last

    def linear(self, value: str, layer: nn.Linear) -> str:
        return self.add("Gemm", value, *self.weights(layer), transB=1)

    def weights(self, layer: nn.Linear | nn.Conv1d) -> list[str]:
        """The layer's weight, and its bias where it has one."""
        return [self.floats(part) for part in (layer.weight, layer.bias) if part is not None]


def _inputs(net: ActionNet) -> list[onnx.ValueInfoProto]:
    n_steps = len(net.normalisation.step_mean)
    inputs = [
        helper.make_tensor_value_info(STEPS, TensorProto.FLOAT, ["batch", "time", n_steps]),
        helper.make_tensor_value_info(LENGTHS, TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info(CONTEXT, TensorProto.FLOAT, ["batch", net.n_context]),
    ]
    if net.names is not None:
        n_kinds = len(net.names.tables)
        inputs.append(helper.make_tensor_value_info(IDS, TensorProto.INT64, ["batch", "time", n_kinds]))
    return inputs


def _outputs() -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", 5]),
        helper.make_tensor_value_info(PURCHASE, TensorProto.FLOAT, ["batch"]),
    ]


def _prepare_steps(graph: _Graph, net: ActionNet) -> tuple[str, str]:
    """Standardised rows (batch, time, features), zero in the padding, and the mask (batch, time)."""
    n_time = graph.add("Shape", STEPS, start=1, end=2)
    zero, one = (graph.constant(np.array(number, dtype=np.int64)) for number in (0, 1))
    positions = graph.add("Range", zero, graph.add("Squeeze", n_time, graph.ints(0)), one)
    ends = graph.add("Unsqueeze", LENGTHS, graph.ints(1))
    inside = graph.add("Less", positions, ends)
    rows = graph.add("Sub", STEPS, graph.floats(net.normalisation.step_mean))
    rows = graph.add("Div", rows, graph.floats(net.normalisation.step_scale))
    rows = _clip(graph, rows, -CLIP, CLIP)
    if net.names is not None:
        rows = graph.add("Concat", rows, *_look_up(graph, net.names), axis=2)
    rows = graph.add("Where", graph.add("Unsqueeze", inside, graph.ints(2)), rows, _scalar(graph, 0.0))
    return rows, graph.add("Cast", inside, to=TensorProto.FLOAT)


def _look_up(graph: _Graph, names: NameTables) -> list[str]:
    """The vectors of the names, (batch, time, embedding) each."""
    buckets = graph.add("Mod", IDS, graph.ints(names.rows.shape[1]))
    found = []
    for kind, (rows, table) in enumerate(zip(names.rows.numpy(), names.parameters(), strict=True)):
        own = graph.add("Squeeze", graph.add("Gather", buckets, graph.ints(kind), axis=2), graph.ints(2))
        row = graph.add("Gather", graph.constant(rows.astype(np.int32)), own)
        found.append(graph.add("Gather", graph.floats(table), row))
    return found


def _trunk(graph: _Graph, net: ActionNet, rows: str, mask: str) -> str:
    """What the trunk makes of the steps: (batch, size)."""
    trunk = net.trunk
    by_channel = graph.add("Transpose", rows, perm=[0, 2, 1])  # (batch, features, time)
    if isinstance(trunk, Cnn):
        found = _convolve(graph, _convolve(graph, by_channel, mask, trunk.first), mask, trunk.second)
        return graph.add("Concat", _last(graph, found), _mean(graph, found), _most(graph, found), axis=1)
    if isinstance(trunk, CnnBiGru):
        found = _convolve(graph, by_channel, mask, trunk.convolution)
        both = [trunk.recurrent.forwards, trunk.recurrent.backwards]
        states = _recur(graph, by_channel, mask, both)
        return graph.add("Concat", states, _last(graph, found), _mean(graph, found), axis=1)
    cells = [trunk.forwards, trunk.backwards] if isinstance(trunk, BiGru) else [trunk.forwards]
    return _recur(graph, by_channel, mask, cells)


def _convolve(graph: _Graph, value: str, mask: str, layer: nn.Conv1d) -> str:
    pads = [KERNEL // 2] * 2
    found = graph.add("Conv", value, *graph.weights(layer), pads=pads)
    return graph.add("Mul", graph.add("Relu", found), graph.add("Unsqueeze", mask, graph.ints(1)))


def _most(graph: _Graph, value: str) -> str:
    return graph.add("ReduceMax", value, graph.ints(2), keepdims=0)


def _mean(graph: _Graph, value: str) -> str:
    count = graph.add("Unsqueeze", graph.add("Cast", LENGTHS, to=TensorProto.FLOAT), graph.ints(1))
    return graph.add("Div", graph.add("ReduceSum", value, graph.ints(2), keepdims=0), count)


def _last(graph: _Graph, value: str) -> str:
    """The last step within each length, of (batch, channels, time)."""
    by_time = graph.add("Transpose", value, perm=[0, 2, 1])
    index = graph.add("Unsqueeze", graph.add("Sub", LENGTHS, graph.ints(1)), graph.ints(1))
    return graph.add("GatherND", by_time, index, batch_dims=1)


def _recur(graph: _Graph, value: str, mask: str, cells: Sequence[nn.RNNBase]) -> str:
    """Last states and means over the steps of all directions, of (batch, channels, time)."""
    width = cells[0].hidden_size
    inputs = [graph.add("Transpose", value, perm=[2, 0, 1])]  # (time, batch, channels)
    inputs += [graph.floats(np.stack(part)) for part in zip(*map(_cell_weights, cells), strict=True)]
    inputs.append(graph.add("Cast", LENGTHS, to=TensorProto.INT32))
    direction = "bidirectional" if len(cells) > 1 else "forward"
    op, extra = ("GRU", {"linear_before_reset": 1}) if isinstance(cells[0], nn.GRU) else ("LSTM", {})
    every, last = graph.add_rnn(op, inputs, hidden_size=width, direction=direction, **extra)
    by_time = graph.add("Transpose", mask, perm=[1, 0])  # (time, batch)
    every = graph.add("Mul", every, graph.add("Unsqueeze", by_time, graph.ints(1, 3)))
    total = graph.add("ReduceSum", every, graph.ints(0), keepdims=0)  # (directions, batch, width)
    count = graph.add("Cast", LENGTHS, to=TensorProto.FLOAT)
    mean = graph.add("Div", total, graph.add("Unsqueeze", count, graph.ints(0, 2)))
    parts = [graph.add("Transpose", part, perm=[1, 0, 2]) for part in (last, mean)]
    shape = graph.ints(0, len(cells) * width)
    return graph.add("Concat", *(graph.add("Reshape", part, shape) for part in parts), axis=1)


def _cell_weights(cell: nn.RNNBase) -> tuple[Floats, Floats, Floats]:
    """Input weights, recurrent weights and biases in ONNX's order of gates."""
    # torch: reset, update, new (GRU) and in, forget, cell, out (LSTM); ONNX: z r h and i o f c.
    order = (1, 0, 2) if isinstance(cell, nn.GRU) else (0, 3, 1, 2)

    def ordered(value: torch.Tensor) -> Floats:
        gates = np.split(value.detach().numpy(), len(order))
        return np.concatenate([gates[index] for index in order])

    named = {name: ordered(value) for name, value in cell.named_parameters()}
    bias = np.concatenate([named["bias_ih_l0"], named["bias_hh_l0"]])
    return named["weight_ih_l0"], named["weight_hh_l0"], bias


def _finish(graph: _Graph, net: ActionNet, trunk: str, calibration: Calibration) -> None:
    """Context, head, calibration and the two outputs."""
    binned = graph.add("Gather", CONTEXT, graph.constant(net.normalisation.bin_feature), axis=1)
    binned = graph.add("Sub", binned, graph.floats(net.normalisation.bin_low))
    binned = _clip(graph, graph.add("Mul", binned, graph.floats(net.normalisation.bin_inverse)), 0.0, 1.0)
    side = graph.add("Relu", graph.linear(binned, net.context))
    joined = graph.add("Concat", trunk, side, axis=1)
    hidden = graph.add("Relu", graph.linear(joined, net.head))
    logits = graph.add("Add", graph.linear(hidden, net.out), graph.linear(binned, net.wide))
    logits = graph.add("Mul", logits, graph.floats(calibration.scale))
    logits = graph.add("Add", logits, graph.floats(calibration.bias))
    actions = graph.add("Slice", logits, graph.ints(0), graph.ints(5), graph.ints(1))
    graph.add("Softmax", actions, axis=1, name=PROBABILITIES)
    bought = graph.add("Slice", logits, graph.ints(5), graph.ints(6), graph.ints(1))
    graph.add("Squeeze", graph.add("Sigmoid", bought), graph.ints(1), name=PURCHASE)


def _clip(graph: _Graph, value: str, low: float, high: float) -> str:
    return graph.add("Clip", value, _scalar(graph, low), _scalar(graph, high))


def _scalar(graph: _Graph, value: float) -> str:
    return graph.constant(np.array(value, dtype=np.float32))
