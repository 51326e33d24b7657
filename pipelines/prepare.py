"""Files of pairs turned into a dataset of TFRecord shards."""

import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from keras_recurrent.pipelines.recipe import (
    FileSpec,
    ParallelFiles,
    Recipe,
)
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources import source_of_files
from keras_recurrent.pipelines.sources.files import found


class _Part(NamedTuple):
    """Files that one process reads from the first line to the last."""

    key: str
    """Of the recipe."""
    number: int
    """Which of the files they are."""
    files: FileSpec
    """A file, or two that are parallel."""


def prepare(recipe: Recipe, folder: Path, beam: str | None = None) -> Path:
    """Write the files of a recipe as a dataset that `data.folder` reads.

    Where a side is to be normalized by `nfc`, that is Unicode's own form C,
    which graphs do but for accents in an order that is not canonical.

    Args:
        recipe: its files are read, checked and normalized.
        folder: where the dataset is written to.
        beam: options of Apache Beam, which reads the files side by side, such
            as `--runner=DirectRunner --direct_num_workers=4`; None does
            without Beam, one file after the other.

    Returns:
        The folder of the dataset, for `data.folder`.

    Raises:
        RecipeError: the recipe names no files; they are malformed; or the
            dataset cannot be written.
    """
    data = recipe.data
    if data.files is None or data.more:
        raise RecipeError(
            "only `data.files`, without `data.more`, can be prepared: datasets "
            "are prepared already"
        )
    config = tfds.download.DownloadConfig()
    if beam is not None:
        try:
            from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError:
            raise RecipeError(
                "Apache Beam is not installed: pip install "
                "'keras-recurrent[beam]'"
            ) from None
        config.beam_options = PipelineOptions(shlex.split(beam))
    builder = Pairs(recipe, folder, side_by_side=beam is not None)
    if Path(builder.data_dir).exists():
        raise RecipeError(
            f"{builder.data_dir}: exists already. Remove it, or choose another "
            "folder"
        )
    try:
        builder.download_and_prepare(download_config=config)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{builder.data_dir}: {reason}") from error
    return Path(builder.data_dir)


class Pairs(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """The pairs in the files of a recipe.

    Args:
        recipe: The recipe.
        folder: TensorFlow Datasets' `data_dir`.
        side_by_side: Whether Apache Beam reads the files.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, recipe: Recipe, folder: Path, side_by_side: bool
    ) -> None:
        self._recipe = recipe
        self._side_by_side = side_by_side
        super().__init__(data_dir=folder)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Pairs of texts, prepared by keras-recurrent.",
            features=tfds.features.FeaturesDict(
                {
                    "source": tfds.features.Text(),
                    "target": tfds.features.Text(),
                }
            ),
            supervised_keys=("source", "target"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing to download
        data = self._recipe.data
        splits = {
            split: (f"data.files.{split}", getattr(data.files, split))
            for split in ("train", "validation", "test")
        }
        splits |= {
            name: (f"data.tests.{name}", files)
            for name, files in data.tests.items()
        }
        return {
            split: self._generate_examples(_parts(*named))
            for split, named in splits.items()
        }

    def _generate_examples(self, parts: list[_Part]) -> Any:
        read = _Reader(self._recipe)
        if not self._side_by_side:
            return (example for part in parts for example in read(part))
        import apache_beam

        return (
            apache_beam.Create(parts)
            | apache_beam.Reshuffle()
            | apache_beam.FlatMap(read)
        )


def _parts(key: str, files: FileSpec) -> list[_Part]:
    if not isinstance(files, ParallelFiles):
        paths = found(files, key)
        return [_Part(key, number, path) for number, path in enumerate(paths)]
    sources = found(files.source, f"{key}.source")
    targets = found(files.target, f"{key}.target")
    if len(sources) != len(targets):  # then lines do not end with files
        return [_Part(key, 0, ParallelFiles(source=sources, target=targets))]
    both = enumerate(zip(sources, targets, strict=True))
    return [
        _Part(key, number, ParallelFiles(source=source, target=target))
        for number, (source, target) in both
    ]


class _Reader:
    """Reads the pairs of a part, wherever it runs."""

    def __init__(self, recipe: Recipe) -> None:
        self.data = recipe.data
        self.composed = {
            "source": "nfc" in recipe.source.normalize,
            "target": "nfc" in recipe.target.normalize,
        }

    def __call__(self, part: _Part) -> Iterator[tuple[str, dict[str, str]]]:
        key, _, files = part
        source = source_of_files(self.data, files, key, self.data.malformed)
        pairs = source.pairs().as_numpy_iterator()
        # One file can be there twice.
        name = f"{files} {part.number}"
        for number, pair in enumerate(pairs):
            example = {
                side: text.decode("utf-8", "replace")
                for side, text in pair.items()
            }
            for side, composed in self.composed.items():
                if composed:
                    example[side] = unicodedata.normalize("NFC", example[side])
            yield f"{name} {number}", example
