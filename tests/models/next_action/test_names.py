"""Names of products, categories and brands: learnt from one's own shop, and harmless where they are new."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from models.fitting import deterministic
from models.next_action.encoding import Inputs
from models.next_action.features import ID_FEATURES
from models.next_action.predictor import Predictor
from models.next_action.training.calibration import calibrated, identity
from models.next_action.training.export import TOLERANCE
from models.next_action.training.fit import logits_of_batch
from models.next_action.training.names import assign_rows
from models.next_action.training.net_config import NET_KINDS, NetConfig, NetKind
from models.next_action.training.nets import ActionNet, count_parameters, fit_normalisation, fit_width
from models.next_action.training.onnx_model import to_onnx
from small_training import (
    small_training,
)

pytestmark = pytest.mark.slow

BUCKETS, N_STEPS, N_CONTEXT, TIME, N_KINDS = 64, 7, 5, 12, len(ID_FEATURES)


def make_net(kind: NetKind = "cnn_bigru", *, name_dropout: float = 0.5) -> ActionNet:
    """Rows 1 to 31 for the odd buckets, row 0 for the even ones."""
    rng = np.random.default_rng(1)
    normalisation = fit_normalisation(
        rng.normal(size=(500, N_STEPS)).astype(np.float32),
        rng.normal(size=(500, N_CONTEXT)).astype(np.float32),
        bins=4,
    )
    config = NetConfig(kind=kind, width=8, channels=8, buckets=BUCKETS, name_dropout=name_dropout)
    bucket = np.arange(BUCKETS)
    rows = np.tile(np.where(bucket % 2 == 1, bucket // 2 + 1, 0), (N_KINDS, 1))
    with deterministic(1):
        net = ActionNet(config, normalisation, rows)
        assert net.names is not None
        for table in net.names.parameters():
            torch.nn.init.normal_(table)
    return net.eval()


def make_inputs(size: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, TIME + 1, size)
    lengths[:2] = 1, TIME
    inside = np.arange(TIME) < lengths[:, None]
    steps = rng.normal(size=(size, TIME, N_STEPS)).astype(np.float32) * inside[:, :, None]
    ids = rng.integers(0, 2**32 + 1, (size, TIME, N_KINDS)) * inside[:, :, None]
    return steps, lengths, rng.normal(size=(size, N_CONTEXT)).astype(np.float32), ids


def with_other_padding(inputs: Inputs) -> Inputs:
    """The same prefixes with other names after them, and more time."""
    steps, lengths, context, ids = inputs
    assert ids is not None
    rng = np.random.default_rng(3)
    wider = rng.normal(size=(len(steps), TIME + 5, N_STEPS)).astype(np.float32)
    named = rng.integers(-(2**62), 2**62, (len(steps), TIME + 5, N_KINDS))
    inside = np.arange(TIME) < lengths[:, None]
    wider[:, :TIME][inside], named[:, :TIME][inside] = steps[inside], ids[inside]
    return wider, lengths, context, named


@pytest.mark.parametrize("kind", NET_KINDS)
def test_names_in_the_padding_never_change_a_result(kind: NetKind) -> None:
    net, inputs = make_net(kind), make_inputs()
    found = logits_of_batch(net, with_other_padding(inputs))
    np.testing.assert_allclose(found, logits_of_batch(net, inputs), atol=1e-5)


@pytest.mark.parametrize("kind", NET_KINDS)
def test_onnx_reads_names_as_torch_does(kind: NetKind) -> None:
    net, inputs = make_net(kind), make_inputs()
    expected = calibrated(logits_of_batch(net, inputs), identity())
    card = replace(small_training().card, id_features=ID_FEATURES)
    predictor = Predictor.__new__(Predictor)  # a network of other features than the golden inputs'
    predictor.card = card
    predictor._session = _session(net)
    for given in (inputs, with_other_padding(inputs)):
        for found, wanted in zip(predictor.predict(*given), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=TOLERANCE / 10)


@pytest.mark.parametrize("kind", range(N_KINDS))
def test_every_kind_of_name_counts(kind: int) -> None:
    net, (steps, lengths, context, ids) = make_net(), make_inputs()
    known = np.ones_like(ids)
    other = known.copy()
    other[:, :, kind] = 3
    found = [logits_of_batch(net, (steps, lengths, context, each)) for each in (known, other)]
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_a_name_that_training_did_not_meet_is_as_none() -> None:
    net, (steps, lengths, context, ids) = make_net(), make_inputs()
    unseen = ids // 2 * 2  # an even bucket each
    found = logits_of_batch(net, (steps, lengths, context, unseen))
    np.testing.assert_array_equal(found, logits_of_batch(net, (steps, lengths, context, ids * 0)))
    np.testing.assert_array_equal(found, logits_of_batch(net, (steps, lengths, context)))


def test_rows_are_for_buckets_that_enough_sessions_met_not_events() -> None:
    often = [(3, s) for s in range(3)] + [(8, s) for s in range(3)] + [(0, s) for s in range(3)]
    once = [(5, 7)] * 9
    bucket, session = np.array([*often, *once]).T
    ids = np.stack([bucket + 10 * session, bucket * 0, bucket * 0 + 9], axis=1)
    rows = assign_rows(ids, session, buckets=10, least_sessions=3)
    assert rows[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 2, 0]
    assert not rows[1].any(), "no name has no row"
    assert rows[2].tolist() == [0] * 9 + [1]


def test_in_training_a_name_is_dropped_from_all_steps_of_a_case_or_from_none() -> None:
    names = make_net(name_dropout=0.4).names
    assert names is not None
    rows = torch.randint(1, 32, (2_000, 1)).repeat(1, 4)
    dropped = names._drop(rows) == 0
    assert bool((dropped == dropped[:, :1]).all())
    assert float(dropped[:, 0].float().mean()) == pytest.approx(0.4, abs=0.05)


def test_tables_are_reported_and_not_counted_towards_the_budget() -> None:
    normalisation = make_net().normalisation
    config = fit_width(NetConfig(buckets=BUCKETS), normalisation, 60_000)
    rows = np.tile(np.arange(BUCKETS), (N_KINDS, 1))
    full, empty = (count_parameters(ActionNet(config, normalisation, r)) for r in (rows, None))
    assert 57_000 < empty <= 60_000
    assert full - empty == N_KINDS * (BUCKETS - 1) * config.embedding


def _session(net: ActionNet) -> onnxruntime.InferenceSession:
    model = to_onnx(net, identity()).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
