"""Where the model comes from that ranks recommendations beside the recent sessions."""

from collections.abc import Sequence
from pathlib import Path

from models.artefacts.source import ArtefactFolder, NoArtefact, VersionedSource
from models.recommendation.session_model import Floats, SessionModel

NEXT_ITEM = "next_item"
"""The slot."""


class SessionsAlone:
    """No network: what the slot comes with where the settings name no folder."""

    version = "sessions-alone"
    ranker = None

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> Floats | None:
        """None: it has learnt nothing."""
        del products, candidates
        return None


ALONE = SessionsAlone()


def next_item_source(folder: str) -> VersionedSource[SessionModel]:
    """The model in this folder; for an empty name none, until a version is promoted."""
    return ArtefactFolder(Path(folder), _load) if folder else NoArtefact(ALONE, _load)


def _load(folder: Path) -> SessionModel:
    # Here: it brings onnxruntime, which a process without a model need not load.
    from models.next_item.served import load_served

    return load_served(folder)
