"""Models of other libraries, where they are installed."""

from dataclasses import dataclass

import numpy as np
from gensim.models import Word2Vec

from models.next_basket.basket2vec import Basket2Vec, unit
from models.next_basket.model import Training


@dataclass(slots=True)
class Item2Vec(Basket2Vec):
    """Item2vec (Barkan and Koenigstein 2016) by gensim: skip-gram with baskets for sentences.

    Histories are scored as `Basket2Vec` scores them. The same seed gives the same vectors with one worker.
    """

    epochs: int = 10
    negatives: int = 5

    def fit(self, training: Training) -> None:
        """Train on the known baskets; the window holds a whole basket."""
        known = training.known
        sentences = [basket.tolist() for basket in np.split(known.items, known.starts[1:-1])]
        model = Word2Vec(
            sentences, vector_size=self.size, window=int(known.sizes().max()), min_count=1, sg=1,
            negative=self.negatives, epochs=self.epochs, workers=1, seed=self.seed + 1,
        )  # fmt: skip
        vectors = np.zeros((known.n_items, self.size))
        vectors[model.wv.index_to_key] = model.wv.vectors
        self._vectors = unit(vectors)
