"""What a session network is made of, and how it is fitted, as `storepulse train next-item` chooses it."""

from dataclasses import dataclass
from typing import Literal, get_args

NetKind = Literal["gru", "core", "sasrec"]
NET_KINDS: tuple[NetKind, ...] = get_args(NetKind)
Loss = Literal["sampled", "full"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


@dataclass(frozen=True, slots=True)
class NetConfig:
    """Shape and regularisation. `length` is how many of a prefix's newest items are read.

    `attention` is of the kind gru, `layers` and `heads` are of the two others. `scale` is what cosines are
    multiplied by before the softmax.
    """

    kind: NetKind = "gru"
    width: int = 100
    length: int = 20
    dropout: float = 0.25
    scale: float = 12.0
    attention: bool = True
    layers: int = 1
    heads: int = 2


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How to fit.

    The loss `sampled` is a softmax over the target and `negatives` items, drawn by their count to the power
    `power`, the same for a whole batch; with `log_q` the logits are corrected for the chance to be drawn
    (Yi et al., RecSys 2019). `full` is a softmax over all items. `uniformity` weighs a loss that spreads the
    item vectors. `action_weights` are those of targets by the code of their action; none: 1 each. `average`
    is the weight that the averaged parameters keep at each step.
    """

    loss: Loss = "sampled"
    negatives: int = 8_192
    power: float = 0.5
    log_q: bool = True
    uniformity: float = 0.0
    action_weights: tuple[float, ...] = ()
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_size: int = 512
    most_epochs: int = 10
    patience: int = 2
    average: float = 0.998
    warm_up_steps: int = 100
    refit: bool = True
    """Once validation has told the number of epochs, train that long on all sessions, the newest included."""
