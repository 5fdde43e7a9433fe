"""The networks: what they must not look at, and that ONNX computes what torch does."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from models.fitting import deterministic
from models.next_action.encoding import Batch
from models.next_action.training.calibration import Calibration, calibrated
from models.next_action.training.fit import BUDGET, logits_of_batch
from models.next_action.training.net_config import NET_KINDS, NetConfig, NetKind
from models.next_action.training.nets import (
    ActionNet,
    Normalisation,
    count_parameters,
    fit_normalisation,
    fit_width,
)
from models.next_action.training.onnx_model import to_onnx

pytestmark = pytest.mark.slow

N_STEPS, N_CONTEXT, TIME = 7, 5, 12
CALIBRATION = Calibration(
    np.array([1.3] * 5 + [0.8], dtype=np.float32), np.linspace(-0.5, 0.5, 6, dtype=np.float32)
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_normalisation(n_steps: int = N_STEPS, n_context: int = N_CONTEXT) -> Normalisation:
    rng = np.random.default_rng(1)
    rows = rng.normal(2.0, 3.0, (500, n_steps)).astype(np.float32)
    return fit_normalisation(rows, rng.normal(size=(500, n_context)).astype(np.float32), bins=4)


def make_net(kind: NetKind) -> ActionNet:
    with deterministic(1):
        net = ActionNet(NetConfig(kind=kind, width=8, channels=8), make_normalisation())
        torch.nn.init.normal_(net.wide.weight)
    return net.eval()


def make_batch(size: int = 40) -> Batch:
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, TIME + 1, size)
    lengths[:2] = 1, TIME
    steps = rng.normal(2.0, 3.0, (size, TIME, N_STEPS)).astype(np.float32)
    steps[np.arange(TIME) >= lengths[:, None]] = 0.0
    return steps, lengths, rng.normal(size=(size, N_CONTEXT)).astype(np.float32)


def with_other_padding(batch: Batch) -> Batch:
    """The same prefixes with noise after them, and more time."""
    steps, lengths, context = batch
    wider = np.random.default_rng(3).normal(0.0, 1e4, (len(steps), TIME + 9, N_STEPS)).astype(np.float32)
    inside = np.arange(TIME) < lengths[:, None]
    wider[:, :TIME][inside] = steps[inside]
    return wider, lengths, context


def run_onnx(session: onnxruntime.InferenceSession, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    steps, lengths, context = batch
    action, purchase = session.run(None, {"steps": steps, "lengths": lengths, "context": context})
    return action, purchase


@pytest.mark.parametrize("kind", NET_KINDS)
def test_padding_never_changes_a_result(kind: NetKind) -> None:
    net, batch = make_net(kind), make_batch()
    expected = logits_of_batch(net, batch)
    np.testing.assert_allclose(logits_of_batch(net, with_other_padding(batch)), expected, atol=1e-5)


@pytest.mark.parametrize("kind", NET_KINDS)
def test_what_else_is_in_the_batch_never_changes_a_result(kind: NetKind) -> None:
    net, (steps, lengths, context) = make_net(kind), make_batch()
    together = logits_of_batch(net, (steps, lengths, context))
    for i, length in enumerate(lengths):
        alone = logits_of_batch(net, (steps[i : i + 1, :length], lengths[i : i + 1], context[i : i + 1]))
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)


@pytest.mark.parametrize("kind", NET_KINDS)
def test_onnx_computes_what_torch_does_whatever_the_padding(kind: NetKind) -> None:
    net, batch = make_net(kind), make_batch()
    model = to_onnx(net, CALIBRATION).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = calibrated(logits_of_batch(net, batch), CALIBRATION)
    for given in (batch, with_other_padding(batch)):
        for found, wanted in zip(run_onnx(session, given), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", NET_KINDS)
def test_every_step_of_the_prefix_and_every_aggregate_counts(kind: NetKind) -> None:
    net, (steps, lengths, context) = make_net(kind), make_batch()
    full = np.full_like(lengths, TIME)
    expected = logits_of_batch(net, (steps, full, context))
    for step in range(TIME):
        changed = steps.copy()
        changed[:, step] += 1.5
        assert np.abs(logits_of_batch(net, (changed, full, context)) - expected).max() > 1e-4
    for feature in range(N_CONTEXT):
        other = context.copy()
        other[:, feature] = -other[:, feature]
        assert np.abs(logits_of_batch(net, (steps, full, other)) - expected).max() > 1e-4


def test_a_bigru_tells_the_order_of_steps() -> None:
    net, (steps, _, context) = make_net("bigru"), make_batch()
    full = np.full(len(steps), TIME)
    backwards = np.ascontiguousarray(steps[:, ::-1])
    there, back = (logits_of_batch(net, (each, full, context)) for each in (steps, backwards))
    assert np.abs(there - back).max() > 1e-4


@pytest.mark.parametrize("kind", NET_KINDS)
def test_networks_compared_have_almost_equally_many_parameters(kind: NetKind) -> None:
    normalisation = make_normalisation(28, 55)
    config = fit_width(NetConfig(kind=kind), normalisation, BUDGET)
    assert 0.95 * BUDGET < count_parameters(ActionNet(config, normalisation)) <= BUDGET


def test_a_budget_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="no gru of width 8 or more has at most 100 parameters"):
        fit_width(NetConfig(kind="gru"), make_normalisation(), 100)


def test_inputs_far_from_training_keep_the_output_of_the_border() -> None:
    net, (steps, lengths, context) = make_net("cnn_bigru"), make_batch()
    far, farther = (logits_of_batch(net, (steps * s, lengths, context * s)) for s in (1e6, 1e9))
    assert np.isfinite(far).all()
    np.testing.assert_allclose(far, farther, atol=1e-4)


def test_bins_hold_few_values_exactly_and_constants_at_all() -> None:
    context = np.stack([np.full(90, 4.0), np.tile([0.0, 1.0, 5.0], 30)], axis=1).astype(np.float32)
    made = fit_normalisation(np.ones((90, 2), dtype=np.float32), context, bins=8)
    assert made.bin_feature.tolist() == [0, 1, 1]
    assert made.bin_low.tolist() == [4.0, 0.0, 1.0]
    assert made.bin_inverse.tolist() == [1.0, 1.0, 0.25]
    assert made.step_scale.tolist() == [1.0, 1.0]


def test_dropout_is_off_when_a_network_is_asked() -> None:
    net, batch = make_net("cnn"), make_batch()
    net.config = replace(net.config, feature_dropout=0.9)
    assert np.array_equal(logits_of_batch(net.train(), batch), logits_of_batch(net.train(), batch))
