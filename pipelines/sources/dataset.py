"""Pairs from TensorFlow Datasets."""

import difflib
import io
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from filelock import FileLock

# Importing them makes them known to TensorFlow Datasets.
import keras_recurrent.pipelines.cmudict.builder
import keras_recurrent.pipelines.dates.builder
import keras_recurrent.pipelines.wikipron.builder  # noqa: F401
from keras_recurrent.pipelines.recipe import OriginConfig
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.sources.files import CACHE_BYTES


class Dataset:
    """A split of a dataset, by its name or in a folder where it is prepared.

    A dataset that is named is downloaded and prepared when it is used for the
    first time. In a folder it needs no code of its own.

    Args:
        data: The recipe's section.
        split: `"train"`, `"validation"` or `"test"`.
        theirs: What that is called in the dataset.
    """

    left_out = 0

    def __init__(self, data: OriginConfig, split: str, theirs: str) -> None:
        self.data = data
        self.split = split
        self.theirs = theirs

    def pairs(self) -> tf.data.Dataset:
        builder = self._builder()
        small = self._split_info(builder).num_bytes <= CACHE_BYTES
        pairs = builder.as_dataset(
            split=self.theirs,
            shuffle_files=False,
            # Cached below instead, without the other features.
            read_config=tfds.ReadConfig(try_autocache=False),
        ).map(
            lambda example: {
                "source": example[self.data.source],
                "target": example[self.data.target],
            }
        )
        return pairs.cache() if small else pairs

    def fingerprint(self) -> str:
        builder = self._builder()
        sizes = self._split_info(builder)
        slice_of = "" if self.theirs == self.split else f"{self.theirs}, "
        return (
            f"{builder.info.full_name}, {slice_of}"
            f"{sizes.num_examples:,} examples, {sizes.num_bytes:,} bytes"
        )

    def place(self, index: int) -> str:
        return f"{self._name}, {self.theirs} example {index + 1}"

    @property
    def _name(self) -> str:
        return str(self.data.dataset or self.data.folder)

    @property
    def _key(self) -> str:
        which = "dataset" if self.data.dataset is not None else "folder"
        return f"data.{which}={self._name!r}"

    def _split_info(self, builder: Any) -> Any:
        splits = builder.info.splits
        try:
            found = splits[self.theirs]
        except (KeyError, ValueError):
            raise RecipeError(
                f"{self._key}: no split {self.theirs!r}. "
                f"Its splits: {', '.join(splits)}"
            ) from None
        if not found.num_examples:
            raise RecipeError(
                f"{self._key}: the split {self.theirs!r} is empty"
            )
        return found

    def _builder(self) -> Any:
        """Return the prepared builder, its features checked."""
        if self.data.folder is not None:
            builder = self._prepared()
        else:
            builder = self._named()
        known = builder.info.features
        for side, feature in (
            ("source", self.data.source),
            ("target", self.data.target),
        ):
            if feature not in known or not _is_text(known[feature]):
                texts = sorted(key for key in known if _is_text(known[key]))
                raise RecipeError(
                    f"data.{side}={feature!r}: dataset {self._name!r} has no "
                    f"such text feature. Its text features: {', '.join(texts)}"
                )
        if self.data.folder is None and not builder.data_path.exists():
            return self._prepare(builder)
        return builder

    def _prepared(self) -> Any:
        try:
            return tfds.builder_from_directory(self.data.folder)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RecipeError(f"{self._key}: {reason}") from None

    def _named(self) -> Any:
        try:
            return tfds.builder(self._name, data_dir=self.data.directory)
        except tfds.core.DatasetNotFoundError:
            close = difflib.get_close_matches(
                self._name, tfds.list_builders(), n=1
            )
            hint = f" Did you mean {close[0]}?" if close else ""
            raise RecipeError(f"{self._key}: no such dataset.{hint}") from None
        except (ImportError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RecipeError(f"{self._key}: {reason}") from None

    def _prepare(self, builder: Any) -> Any:
        """Return the builder when it is prepared, by this process or another.

        Runs that are started side by side all find that it is not; one of
        them prepares it, and the others wait.
        """
        with ExitStack() as stack:
            if builder.name == "cmudict":  # takes seconds: no progress needed
                stack.enter_context(redirect_stdout(io.StringIO()))
                stack.enter_context(redirect_stderr(io.StringIO()))
            manual = self.data.manual
            folder = builder.data_path
            try:
                if "://" not in builder.data_dir:  # cannot be locked there
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    lock = folder.with_name(f".{folder.name}.lock")
                    stack.enter_context(FileLock(lock))
                    if folder.exists():
                        return self._named()
                builder.download_and_prepare(
                    download_config=tfds.download.DownloadConfig(
                        manual_dir=manual and str(manual)
                    )
                )
            # No network, no space, no permission; files that are not as the
            # builder expects them; or a folder of files that is not there.
            except (OSError, ValueError, AssertionError) as error:
                reason = " ".join(str(error).split())
                if isinstance(error, AssertionError) and manual is None:
                    reason += " Give that folder as data.manual"
                raise RecipeError(
                    f"{self._key}: cannot be prepared in {builder.data_dir}: "
                    f"{reason}"
                ) from error
        return builder


def _is_text(feature: Any) -> bool:
    return feature.shape == () and feature.tf_dtype == tf.string
