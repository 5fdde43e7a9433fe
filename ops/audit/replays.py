"""The replay of scores with the model that lies in the workers' folder."""

from pathlib import Path

import polars as pl

from contracts.settings import Settings
from models.artefacts.card import ArtefactError
from models.next_action.predictor import load, load_shipped
from ops.audit.price_track import price_tracks
from ops.audit.scores import ScoreReplay


def silences_of(settings: Settings) -> tuple[int, ...]:
    """The silences (ms) after which alerts name a chance."""
    return settings.look_again_ms, min(settings.cart_idle_ms, settings.idle_ms)


def open_replay(
    settings: Settings, sent: pl.DataFrame, copies: pl.DataFrame, *, read_again: bool
) -> ScoreReplay | None:
    """The replay for these events and their copies in the log (see `price_tracks`).

    None where nobody was scored, or where the model that lies there now is not one to be used.
    """
    if not settings.scoring:
        return None
    try:
        model = load(Path(settings.model_dir)) if settings.model_dir else load_shipped()
    except ArtefactError:
        return None
    tracks = price_tracks(sent, copies, batch_events=settings.batch_events, read_again=read_again)
    return ScoreReplay(
        model,
        tracks,
        partitions=settings.partitions,
        idle_ms=settings.idle_ms,
        silences_ms=silences_of(settings),
    )
