"""Names of a network's layers in the sources of initial weights, from tables in the network's own file."""

import re
from collections.abc import Sequence


def counterpart(layer: str, names: Sequence[tuple[str, str]]) -> str | None:
    """Translates a layer's name.

    Args:
        layer: the name here.
        names: pairs of a regular expression for the whole name here, and the name elsewhere with its groups.

    Returns:
        The name elsewhere, or None when the layer has no counterpart there.
    """
    for pattern, elsewhere in names:
        if match := re.fullmatch(pattern, layer):
            return match.expand(elsewhere)
    return None
