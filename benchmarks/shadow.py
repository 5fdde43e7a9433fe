"""Another version in the shadow of the champion: the champion itself under another name."""

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from redis import Redis

from contracts.heartbeat import NEXT_ACTION
from contracts.keys import Keys
from contracts.model_steps import Author, StepKind
from contracts.settings import Settings
from models.artefacts.card import read_artefact
from models.lifecycle.pairs import ASKED, pair_name
from models.lifecycle.store import ModelStore
from models.next_action.card import decode_card
from models.next_action.source import next_action_folder
from ops.models.steps import ModelSteps, Wanted

REASON = "a benchmark"


@contextmanager
def version_in_shadow(settings: Settings, store: Path) -> Iterator[tuple[Settings, str]]:
    """Settings of workers that ask two versions while the block lasts, and the pair's name."""
    settings = settings.model_copy(update={"model_store": str(store)})
    model, card = read_artefact(next_action_folder(settings.model_dir).folder, decode_card)
    other = replace(card, licence=f"{card.licence} {uuid.uuid4()}").sealed()  # what was rejected stays so
    ModelStore(store).put(NEXT_ACTION, model, other)
    asyncio.run(_take(settings, other.version, StepKind.CANDIDATE, StepKind.SHADOW))
    try:
        yield settings, pair_name(NEXT_ACTION, card.version, other.version)
    finally:
        asyncio.run(_take(settings, other.version, StepKind.REJECT))
        shutil.rmtree(store, ignore_errors=True)


def require_asked(client: Redis, pair: str, settings: Settings) -> None:
    """Raise `RuntimeError` if the version in the shadow was asked about nobody."""
    keys = Keys(settings.namespace, settings.partitions)
    asked = sum(int(client.hget(keys.paired(p, pair), ASKED) or 0) for p in range(settings.partitions))
    if not asked:
        raise RuntimeError("the version in the shadow was asked about nobody, so nothing was measured of it")


async def _take(settings: Settings, version: str, *kinds: StepKind) -> None:
    async with ModelSteps(settings) as steps:
        for kind in kinds:
            await steps.take(Wanted(NEXT_ACTION, kind, version, Author.OPERATOR, REASON))
