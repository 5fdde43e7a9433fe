"""What fitting a network is made of, whatever the network: the same twice, and batches of equal lengths."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

Ints = npt.NDArray[np.int64]
_POOL = 64
"""Batches drawn together and sorted by length within: short prefixes are not computed at full length."""


@contextmanager
def deterministic(seed: int, threads: int = 1) -> Iterator[np.random.Generator]:
    """So many threads, deterministic kernels and this seed inside; torch as it was afterwards."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield np.random.default_rng(seed)
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(before)


def shuffled_batches(lengths: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Indices of every case once, in random batches of cases of about the same length."""
    order = rng.permutation(len(lengths))
    batches: list[Ints] = []
    for at in range(0, len(order), size * _POOL):
        pool = order[at : at + size * _POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[first : first + size] for first in range(0, len(pool), size)]
    yield from (batches[index] for index in rng.permutation(len(batches)))
