"""A model whose maps can be decoded and drawn even where they hold NaN or infinity."""

from dataclasses import replace
from typing import Any

import numpy as np

from openpose.model_files import Model


class FiniteMaps:
    """Replaces NaN and infinity in a model's maps by 0 and records that it did.

    Attributes:
        model: the model with finite maps.
        replaced: whether the maps of the last pictures held NaN or infinity.
    """

    def __init__(self, model: Model) -> None:
        self.replaced = False
        self._run = model.run
        self.model = replace(model, run=self._finite)

    def _finite(self, images: Any) -> np.ndarray:
        maps = np.asarray(self._run(images))
        finite = np.isfinite(maps)
        self.replaced = not finite.all()
        return np.where(finite, maps, 0)
