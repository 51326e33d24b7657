"""Which texts lack a part that a model reads.

As `cut_in_two` and `cut_off_features` tell it, but text by text and without
TensorFlow, which would take a while for each text alone.
"""

from collections import Counter
from collections.abc import Iterator

from keras_recurrent.pipelines.recipe import Recipe


class LackingParts:
    """How many texts have no second source, or no features, behind them.

    Args:
        recipe: says what is read.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.second, self.features = recipe.second_source, recipe.features
        self.texts = 0
        # By what they lack: how many, and the first of them.
        self.lacking = Counter[str]()
        self.first: dict[str, str] = {}

    def add(self, text: str) -> None:
        """Count a text to be decoded; an empty one lacks nothing."""
        self.texts += 1
        if not text.strip():
            return
        if self.second is not None:
            text, _, second = text.partition(self.second.separator)
            if not second.strip():
                self._lacks("second source", self.second.separator, text)
        if self.features is not None:
            separator, count = self.features.separator, len(self.features.names)
            if any(
                word.count(separator) != count or word.startswith(separator)
                for word in text.split()
            ):
                names = ", ".join(self.features.names)
                self._lacks(f"{names} of every token", separator, text)

    def _lacks(self, part: str, separator: str, text: str) -> None:
        part = f"{part} behind {separator!r}"
        self.lacking[part] += 1
        self.first.setdefault(part, text)

    def lines(self) -> Iterator[str]:
        """Say of each part how many texts lack it."""
        for part, count in self.lacking.items():
            yield (
                f"{count:,} of {self.texts:,} texts have no {part} "
                f"(first: {self.first[part]!r}): read as unknown or empty"
            )
