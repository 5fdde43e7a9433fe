"""The trainers of an installation: the product's own, and those of its extensions."""

from contracts.extensions import load_part
from contracts.settings import Settings
from models.lifecycle.trainer import AnyTrainer, TrainerRegistry
from ops.learning.loop.next_action import NextActionTrainer
from ops.learning.loop.next_item import NextItemTrainer


def find_trainers(settings: Settings) -> dict[str, AnyTrainer]:
    """Trainers by slot; raises `InvalidTrainer` or `contracts.extensions.InvalidExtension`."""
    registry = TrainerRegistry()
    if settings.scoring:
        registry.add(NextActionTrainer())
    registry.add(NextItemTrainer())
    for module in load_part(settings, "learn"):
        module.register(registry)
    return registry.trainers
