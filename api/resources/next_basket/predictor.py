"""Who answers about next baskets in this process: the model of the settings, else the list of repeats."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from api.resources.next_basket.baskets import AskedBaskets
from models.artefacts.host import ModelHost, wait_for_answer
from models.artefacts.source import ArtefactFolder, ModelSource
from models.next_basket.repeats import Repeat, find_repeats
from models.recommendation.answer import Reason

if TYPE_CHECKING:
    from models.next_basket.served import Ranked, ServedRanker

_log = logging.getLogger(__name__)

MAX_AT_ONCE = 16
"""Predictions under way and waiting."""
TIME_LIMIT_S = 2.0
DUE_FROM = 0.7
"""A product is due from this part of its interval on."""
Trouble = Literal["unavailable", "busy", "slow", "failed"]


class Expected(NamedTuple):
    """An item of the next basket, with what the request says of it."""

    product_id: str
    score: float
    repeat: Repeat | None
    reason: Reason


class Prediction(NamedTuple):
    """Items, the version of the model that gave them, None for the list, and why the model did not."""

    items: list[Expected]
    version: str | None
    trouble: Trouble | None


def next_basket_folder(name: str) -> "ArtefactFolder[ServedRanker] | None":
    """The model in this folder; None for an empty name."""
    return ArtefactFolder(Path(name), _load) if name else None


def _load(folder: Path) -> "ServedRanker":
    # Here: it brings onnxruntime, which a process without a model need not load.
    from models.next_basket.served import load

    return load(folder)


class BasketPredictor:
    """Asks the model of a host, which takes up newer ones while the process runs; the list never fails."""

    def __init__(self, source: "ModelSource[ServedRanker] | None") -> None:
        self.host = None if source is None else ModelHost("next basket", source)
        self._under_way = 0

    def start(self) -> None:
        """Begin to load the model, and to look for newer ones."""
        if self.host is not None:
            self.host.start()

    async def close(self) -> None:
        """End the watching; a call under way is not waited for."""
        if self.host is not None:
            await self.host.stop()

    async def predict(self, asked: AskedBaskets) -> Prediction:
        """What the next basket is likely to hold."""
        repeats = find_repeats(asked.baskets, asked.ages_days)
        if self.host is None:
            return Prediction(_of_list(repeats, asked.limit), None, None)
        ranked = await self._ask(self.host, asked)
        if isinstance(ranked, str):
            return Prediction(_of_list(repeats, asked.limit), None, ranked)
        found, version = ranked
        known = {repeat.product_id: repeat for repeat in repeats}
        return Prediction([_of_model(one, known.get(one.product_id)) for one in found], version, None)

    async def _ask(
        self, host: "ModelHost[ServedRanker]", asked: AskedBaskets
    ) -> "tuple[list[Ranked], str] | Trouble":
        model = host.model
        if model is None:
            return "unavailable"
        if self._under_way >= MAX_AT_ONCE:
            return "busy"
        call = host.begin(model.rank, asked.baskets, asked.ages_days, asked.limit)
        self._under_way += 1
        call.add_done_callback(self._count_out)  # a call that is given up still occupies the thread
        try:
            return await wait_for_answer(call, TIME_LIMIT_S), model.version
        except TimeoutError:
            return "slow"
        except Exception as exc:  # whatever a model does wrong, there is the list
            _log.warning("the model failed: %r", exc)
            return "failed"

    def _count_out(self, _: "asyncio.Future[list[Ranked]]") -> None:
        self._under_way -= 1


def _of_list(repeats: list[Repeat], limit: int) -> list[Expected]:
    return [
        Expected(repeat.product_id, round(repeat.score, 6), repeat, _why_again(repeat))
        for repeat in repeats[:limit]
    ]


def _of_model(ranked: "Ranked", repeat: Repeat | None) -> Expected:
    if repeat is not None:
        reason = _why_again(repeat)
    elif ranked.after is not None:
        reason = Reason("follows", {"product": ranked.after})
    else:
        reason = Reason("in_many_baskets")
    return Expected(ranked.product_id, round(float(ranked.score), 6), repeat, reason)


def _why_again(repeat: Repeat) -> Reason:
    stage = repeat.stage
    if repeat.mean_gap_days is not None and stage is not None and stage >= DUE_FROM:
        return Reason("due", {"days": max(1, round(repeat.mean_gap_days))})
    return Reason("bought_before", {"times": repeat.times})
