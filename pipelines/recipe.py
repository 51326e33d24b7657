"""Recipes: what to train, on what, and how, in one YAML file.

Longer than other files: it is the reference of all keys, with what each means.

Nothing here imports TensorFlow: a mistake in a recipe is reported at once.
"""

import re
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic
import yaml
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    NonNegativeInt,
    PlainValidator,
    PositiveInt,
    Tag,
)

from keras_recurrent.pipelines.recipe_file import (
    RecipeError,
    apply_override,
    describe,
    read_settings,
)

# The cells a recipe can name: those of `keras_recurrent.layers.cells`, repeated
# here (a test compares) because that imports TensorFlow.
CELL_NAMES = (
    "esn",
    "fast_grnn",
    "gru",
    "ind_rnn",
    "janet",
    "layer_norm_gru",
    "layer_norm_lstm",
    "layer_norm_simple_rnn",
    "lem",
    "lru",
    "lstm",
    "mgu",
    "min_gru",
    "min_lstm",
    "mlstm",
    "nas",
    "nbrc",
    "peephole_lstm",
    "qrnn",
    "rg_lru",
    "simple_rnn",
    "slstm",
    "sru",
    "star",
)


def _known_cell(name: str) -> str:
    if name not in CELL_NAMES:
        raise ValueError(f"expected one of {', '.join(CELL_NAMES)}")
    return name


def _length_penalty(value: object) -> object:
    if value == "average":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value < inf:
            return float(value)
    raise ValueError("expected `average` or a number of at least 0")


# Source and target of the datasets that come along.
_FEATURES = {
    "cmudict": ("word", "phonemes"),
    "dates": ("written", "iso"),
    "wikipron": ("word", "pronunciation"),
}

# The heads of `MultiHeadAttention`, repeated here like the names of cells.
NUM_HEADS = 4


def _check_heads(attentions: Sequence[str], units: Sequence[int]) -> None:
    odd = [str(size) for size in units if size % NUM_HEADS]
    if "multi_head" in attentions and odd:
        raise ValueError(
            f"`attention: multi_head` has {NUM_HEADS} heads, which must divide "
            f"the units. Received: units={', '.join(odd)}"
        )


T = TypeVar("T")
Cell = Annotated[str, AfterValidator(_known_cell)]
Attention = Literal[
    "bahdanau", "coverage", "location_sensitive", "luong", "multi_head"
]
Query = Literal["previous_state", "new_state", "conditional", "bottom_state"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LengthPenalty = Annotated[
    float | Literal["average"], PlainValidator(_length_penalty)
]
Feature = Annotated[str | None, Field(validate_default=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# YAML knows neither paths nor tuples: these two are converted.
FilePath = Annotated[Path, Field(strict=False)]


def _kind_of_files(value: Any) -> str | None:
    """Which kind a value is meant to be, so that errors speak of that alone."""
    if isinstance(value, dict | pydantic.BaseModel):
        return "<sides>"
    if isinstance(value, list):
        return "<list>"
    return "<file>" if isinstance(value, str | Path) else None


# Paths or patterns; tags in angle brackets are left out of errors.
FilePaths = Annotated[
    Annotated[FilePath, Tag("<file>")]
    | Annotated[list[FilePath], Tag("<list>")],
    Discriminator(
        _kind_of_files,
        custom_error_type="files",
        custom_error_message="expected a file or a list of files",
    ),
]
Choices = Annotated[tuple[T, ...], Field(strict=False, min_length=1)]


Doubtful = Literal["keep", "skip", "stop"]
Normalization = Literal["nfc", "width", "quotes", "spaces", "marks", "jamo"]
MeasureName = Literal[
    "token_error_rate",
    "sequence_error_rate",
    "character_error_rate",
    "exact_match",
    "bleu",
    "chrf",
    "ter",
]


class Section(pydantic.BaseModel):
    """A part of a recipe: immutable, no unknown keys, no silent conversions."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class ParallelFiles(Section):
    """Two files, or as many, side by side: line by line a pair."""

    source: FilePaths
    target: FilePaths


FileSpec = Annotated[
    Annotated[FilePath, Tag("<file>")]
    | Annotated[list[FilePath], Tag("<list>")]
    | Annotated[ParallelFiles, Tag("<sides>")],
    Discriminator(
        _kind_of_files,
        custom_error_type="files",
        custom_error_message="expected a file, a list of files, or "
        "{source: file, target: file}",
    ),
]


def kind_of_file(path: Path) -> str:
    """Return what a name tells: `json`, `tfrecord` or `tab-separated`."""
    suffix = (
        path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    )
    if suffix in (".json", ".jsonl"):
        return "json"
    # Shards are called `data.tfrecord-00000-of-00010`.
    return "tfrecord" if ".tfrecord" in path.name else "tab-separated"


class FilesConfig(Section):
    """Where each split is: a file, a pattern, a list of them, or two sides.

    By their suffix they are JSON lines (`.jsonl`), TFRecord (`.tfrecord`), or
    tab-separated: source in column 1, target in column 2. All may be gzipped
    (`.gz`).
    """

    train: FileSpec
    validation: FileSpec
    test: FileSpec


def _have_fields(files: Any) -> bool:
    """Whether files are of a kind whose fields have names."""
    if isinstance(files, FilesConfig):
        specs = (files.train, files.validation, files.test)
        return any(map(_have_fields, specs))
    if isinstance(files, ParallelFiles):
        return False
    paths = [files] if isinstance(files, Path) else files
    return any(kind_of_file(path) != "tab-separated" for path in paths)


class SplitsConfig(Section):
    """What the splits are called in a dataset; slices too: `train[:90%]`."""

    train: str = "train"
    validation: str = "validation"
    test: str = "test"


class OriginConfig(Section):
    """Where pairs come from: one of `dataset`, `folder` and `files`."""

    dataset: str | None = None
    """Name of a TensorFlow dataset: `cmudict`, `dates/en`, `wikipron/kor` (of
    files in `manual`), or any other of the catalogue, such as
    `ted_hrlr_translate/pt_to_en`."""
    folder: FilePath | None = None
    """Folder of a prepared TensorFlow dataset, which needs no code then."""
    files: Any = None
    """Files instead of a dataset."""
    directory: FilePath | None = None
    """Where datasets are prepared; by default TFDS's own directory."""
    manual: FilePath | None = None
    """Folder of files that a dataset is made of and that one gets oneself."""
    source: Feature = None
    """Feature of the dataset that is the source: of `cmudict` and `wikipron`
    by default `word`, of `dates` `written`. In a `folder`, and of JSON lines
    and TFRecord, by default `source`."""
    target: Feature = None
    """Feature of the dataset that is the target: of `cmudict` by default
    `phonemes`, of `wikipron` `pronunciation`, of `dates` `iso`. In a `folder`,
    and of JSON lines and TFRecord, by default `target`."""
    weight: PositiveInt = 1
    """How many times an epoch has each training pair of this source; to be
    told where there is `more` than one."""

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [
            name
            for name in ("dataset", "folder", "files")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                "expected exactly one of `dataset`, `folder` and `files`. "
                f"Received: {' and '.join(given) or 'none of them'}"
            )
        return self

    @pydantic.field_validator("source", "target")
    @classmethod
    def _features(
        cls, feature: str | None, info: pydantic.ValidationInfo
    ) -> str | None:
        # Recipes in older run folders name those of `cmudict` for files, too,
        # which had columns.
        files = info.data.get("files")
        if files is not None and not _have_fields(files):
            return None
        dataset = re.split("[:/]", info.data.get("dataset") or "")[0]
        if feature is None and dataset in _FEATURES:
            return _FEATURES[dataset][info.field_name == "target"]
        if feature is None and info.data.get("folder") is not None:
            return info.field_name
        return feature


class MoreConfig(OriginConfig):
    """One more source of training pairs."""

    files: FileSpec | None = None
    """Files instead of a dataset."""
    split: str = "train"
    """Split of the dataset; a slice too: `train[:90%]`."""


class DataConfig(OriginConfig):
    """The data."""

    files: FilesConfig | None = None
    """Files instead of a dataset."""
    splits: SplitsConfig = SplitsConfig()
    more: Annotated[tuple[MoreConfig, ...], Field(strict=False)] = ()
    """More sources of training pairs, mixed with those."""
    tests: dict[str, FileSpec] = {}
    """More test sets, each with its name."""
    malformed: Literal["stop", "skip"] = "stop"
    """What to do with lines that are no pair: an error, or `skip` them and
    say how many there are."""
    duplicates: Doubtful = "keep"
    """What to do with training pairs that have occurred before: `keep` or
    `skip` them and say how many there are, or `stop`."""
    overlap: Doubtful = "keep"
    """What to do with training pairs whose source is in validation or a test
    set, too."""

    @pydantic.field_validator("tests")
    @classmethod
    def _names_of_tests(cls, tests: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(tests.keys() & SplitsConfig.model_fields)
        if taken:
            raise ValueError(
                f"a test set must not be called {' or '.join(taken)}"
            )
        if any("/" in name or not name for name in tests):
            raise ValueError(
                "the name of a test set, which results go by, must be neither "
                "empty nor have a /"
            )
        return tests

    @pydantic.model_validator(mode="after")
    def _weights_compare(self) -> Self:
        if self.weight > 1 and not self.more:
            raise ValueError(
                "`weight` says how often pairs occur beside those of `more`, "
                f"which is empty. Received: weight={self.weight}"
            )
        return self


class VocabularyConfig(Section):
    """How text becomes tokens."""

    split: Literal["characters", "words", "punctuation", "subwords"] = (
        "characters"
    )
    """`characters`; `words` separated by white space; `punctuation`: words,
    and each punctuation mark by itself; or `subwords` (byte pair encoding),
    learned from the training texts."""
    case: Literal["keep", "upper", "lower"] = "keep"
    """Conversion before splitting."""
    normalize: Annotated[tuple[Normalization, ...], Field(strict=False)] = ()
    """What is written in several ways: `nfc` (accents), `width` (of East Asian
    letters), `quotes`, `spaces`, `marks` (no accents at all), `jamo` (Hangul
    letter by letter)."""
    max_size: Annotated[int, Field(gt=4)] | None = None
    """Keep the most frequent tokens only; counts the four special ones. For
    subwords null is 8,000."""
    min_count: PositiveInt = 1
    """Keep tokens only that occur so often; subwords are learned from all."""
    unknowns: PositiveInt = 1
    """How many ids unknown tokens have, by a hash, so that a model can tell
    some of them apart; subwords have one."""

    @pydantic.model_validator(mode="after")
    def _subwords_have_one(self) -> Self:
        if self.split == "subwords" and self.unknowns > 1:
            raise ValueError(
                "`split: subwords` has one id for what is unknown. "
                f"Received: unknowns={self.unknowns}"
            )
        return self


class SecondSourceConfig(VocabularyConfig):
    """A second source, behind a separator in the texts of the source."""

    separator: Annotated[str, Field(min_length=1)] = "#"
    """What stands between the two; its first occurrence counts."""


class FeaturesConfig(Section):
    """Features of source tokens, which stand behind them in the texts."""

    separator: Annotated[str, Field(pattern=r"^\S+$")] = "|"
    """What stands before each feature; no token may have it inside."""
    names: Choices[Annotated[str, Field(pattern=r"^\w+$")]]
    """What each feature is called, in their order; files are named by it."""

    @pydantic.field_validator("names")
    @classmethod
    def _names_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("two features have the same name")
        return names


class ModelConfig(Section):
    """The encoder-decoder."""

    cell: Cell = "gru"
    """Recurrent cell of encoder and decoder."""
    cell_options: dict[str, Any] = {}
    """More arguments of the cell, by name, such as `reset_after: false`; those
    of its class, see `layers/cells/`."""
    units: PositiveInt = 128
    """Size of the state, per direction and layer."""
    decoder_units: PositiveInt | None = None
    """Size of the state of the decoder; null is `units`."""
    embedding_dim: PositiveInt = 64
    """Size of the token embeddings."""
    decoder_embedding_dim: PositiveInt | None = None
    """Size of those of target tokens; null is `embedding_dim`."""
    feature_embedding_dim: PositiveInt = 16
    """Size of those of each feature, if source tokens have `features`."""
    encoder_layers: PositiveInt = 1
    decoder_layers: PositiveInt = 1
    bidirectional: bool | Literal["first"] = True
    """Read the source in both directions; `first`: only with the first layer
    (GNMT, Wu et al., 2016)."""
    residual: bool = False
    """Whether layers above the first add what they read to what they put
    out."""
    pyramid: bool = False
    """Whether each layer of the encoder above the first reads two steps as one
    (Chan et al., 2016), for long sources such as characters."""
    bridge: Literal["final", "mean", "zeros"] = "final"
    """What the decoder starts from: the encoder's final states, the mean of
    what it puts out (Nematus), or nothing."""
    attention: Attention = "bahdanau"
    """How the decoder scores the source: additively (Bahdanau et al., 2015) or
    by a product (Luong et al., 2015), which is faster."""
    attention_options: dict[str, Any] = {}
    """More arguments of the attention, by name, such as `probability_fn:
    sparsemax`, `normalize: true` or `dropout: 0.1`; those of its class, see
    `layers/attention/`."""
    query: Query = "previous_state"
    """Attention before the cell (Bahdanau et al., 2015), after it, from its
    new state (Luong et al., 2015), between two cells that go on from the state
    of one another (conditional: Sennrich et al., 2017), or from the state of
    the first of several cells, all of which read what it finds (bottom_state:
    GNMT, Wu et al., 2016)."""
    input_feeding: bool = False
    """Feed the attended state back as input; needs `query: new_state`."""
    deep_output: bool = False
    """Predict from the token before as well, not only from state and context
    (Bahdanau et al., 2015); not with `input_feeding`."""
    output_size: PositiveInt | None = None
    """Size of what the next token is predicted from; null is `units`."""
    copying: bool = False
    """Whether tokens can be copied from the source (a pointer-generator, See
    et al., 2017)."""
    unknown_copies: NonNegativeInt = 0
    """With `copying`: how many different tokens of a source can be copied that
    the target's vocabulary lacks."""
    tie_embeddings: bool = False
    """Whether the embeddings of target tokens make the logits as well; they
    then have the size of the output."""
    embedding_dropout: Fraction = 0.0
    """Dropout of the embeddings, at each position anew."""
    decoder_embedding_dropout: Fraction | None = None
    """Of those of target tokens; null is `embedding_dropout`."""
    dropout: Fraction = 0.0
    """Dropout of the inputs of every recurrent layer, the same at all
    positions."""
    recurrent_dropout: Fraction = 0.0
    """Dropout of the recurrent state."""
    memory_dropout: Fraction = 0.0
    """Dropout of what the encoder puts out."""
    output_dropout: Fraction = 0.0
    """Dropout of what the next token is predicted from."""
    sampling_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """With which a token that the decoder reads in training is one of its own
    rather than the right one (scheduled sampling, Bengio et al., 2015)."""
    sampling_steps: NonNegativeInt = 0
    """Over how many batches that probability rises from 0."""
    guided_attention: Weight = 0.0
    """Weight of a loss that keeps attention near the diagonal (Tachibana et
    al., 2018), where source and target run parallel, as in pronunciation."""
    coverage: Weight = 0.0
    """Weight of the loss of looking again at what of the source has been looked
    at (See et al., 2017); 1 is usual, once a model has learned the rest."""
    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What is computed in; weights are float32 with all of them."""

    @property
    def copied(self) -> int | None:
        """`unknown_copies` if the model copies, else None."""
        return self.unknown_copies if self.copying else None

    @pydantic.model_validator(mode="after")
    def _unknown_are_copied(self) -> Self:
        if self.unknown_copies and not self.copying:
            raise ValueError(
                "`unknown_copies` needs `copying: true`. "
                f"Received: unknown_copies={self.unknown_copies}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _tied_sizes_agree(self) -> Self:
        size = self.output_size or self.decoder_units or self.units
        embedded = self.decoder_embedding_dim or self.embedding_dim
        if self.tie_embeddings and embedded != size:
            raise ValueError(
                "`tie_embeddings: true` needs embeddings of the size of the "
                f"output. Received: embedding_dim={embedded}, "
                f"output_size={size}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _pyramids_have_layers(self) -> Self:
        for name, is_set in (
            ("residual", self.residual),
            ("copying", self.copying),
        ):
            if self.pyramid and is_set:
                raise ValueError(
                    f"`pyramid: true` and `{name}: true` exclude each other"
                )
        if self.pyramid and self.encoder_layers == 1:
            raise ValueError(
                "`pyramid: true` joins steps from the second layer on. "
                "Received: encoder_layers=1"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _steps_of_sampling(self) -> Self:
        if self.sampling_steps and not self.sampling_probability:
            raise ValueError(
                "`sampling_steps` needs a `sampling_probability`. "
                f"Received: sampling_steps={self.sampling_steps}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _feeding_needs_new_state(self) -> Self:
        if self.input_feeding and self.deep_output:
            raise ValueError(
                "`input_feeding: true` and `deep_output: true` exclude each "
                "other"
            )
        if self.input_feeding and self.query != "new_state":
            raise ValueError(
                "`input_feeding: true` needs `query: new_state`. "
                f"Received: query={self.query!r}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _units_make_heads(self) -> Self:
        if "num_heads" not in self.attention_options:
            size = self.decoder_units or self.units
            _check_heads((self.attention,), (size,))
        return self


class TrainingConfig(Section):
    """The call of `fit`."""

    epochs: PositiveInt = 10
    steps: PositiveInt | None = None
    """Stop after so many batches; null is after the epochs."""
    minutes: PositiveFloat | None = None
    """Stop after so many minutes of training; null is after the epochs."""
    batch_size: PositiveInt = 64
    """How much a batch holds at most."""
    batch_unit: Literal["sentences", "tokens"] = "sentences"
    """Of what: pairs, or `tokens`, the positions of the longer side with its
    padding. Batches of tokens take about as long each, whatever their length;
    for 64 sentences of 20 words, give `batch_size: 1300`."""
    optimizer: Literal["adam", "adafactor", "sgd"] = "adam"
    """The optimizer; Adam with weight decay is AdamW."""
    learning_rate: PositiveFloat = 0.001
    """Of the optimizer; of a schedule, the highest."""
    schedule: Literal[
        "constant", "linear", "cosine", "one_cycle", "inverse_sqrt", "plateau"
    ] = "constant"
    """How the learning rate goes: it stays; falls to 0 until the last of the
    epochs, by a line or a cosine; rises from a 25th and falls to next to
    nothing by cosines (`one_cycle`); falls by the root of the batches; or is
    halved when the validation loss does not fall."""
    warmup_steps: NonNegativeInt = 0
    """Over how many batches it rises before; not with `plateau`. With
    `one_cycle` 0 is 30 % of all batches."""
    plateau_epochs: PositiveInt = 1
    """Of `plateau`: after so many epochs without a better one."""
    momentum: Fraction = 0.0
    """Of SGD."""
    weight_decay: PositiveFloat | None = None
    """Share of the weights, not of biases, that a step at learning rate 1
    would take away; null is none."""
    gradient_accumulation: PositiveInt = 1
    """From how many batches the gradients of a step are the mean."""
    clipnorm: PositiveFloat | None = 1.0
    """Largest norm of a gradient; null does not clip."""
    label_smoothing: Fraction = 0.0
    """Probability taken from the right token and spread over all."""
    best_by: Literal["loss"] | MeasureName = "loss"
    """What tells which epoch is the best: the validation loss, or a measure of
    what is decoded of the validation sources, see `evaluation.measures`."""
    average: PositiveInt = 1
    """Of how many epochs the weights are averaged when training is finished:
    their mean is the model. Checkpoints of so many are kept."""
    average_of: Literal["best", "last"] = "best"
    """Of the best ones, by `best_by`, or of the last."""
    ema: Fraction | None = None
    """Decay, with each step, of a moving average of the weights, such as 0.999;
    it is what is validated and saved. It spans about 1 / (1 - `ema`) steps, and
    lags behind while there were fewer. null averages none."""
    patience: PositiveInt | None = None
    """Stop after so many epochs without improvement; null never stops."""
    checkpoint_minutes: PositiveFloat | None = 1.0
    """Keep what an interrupted run goes on from every so many minutes; null
    after whole epochs only."""
    checkpoint_steps: PositiveInt | None = None
    """And after every so many batches of an epoch."""
    seed: NonNegativeInt = 0
    """Of the weights, the order of examples and dropout."""
    jit_compile: bool = False
    """Compile with XLA; batches are then padded to few different shapes."""
    max_examples: PositiveInt | None = None
    """Train on the first examples only; null trains on all."""
    max_length: PositiveInt | None = None
    """Leave out examples with more tokens than that on a side; null trains on
    all."""
    strategy: Literal[
        "auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu"
    ] = "auto"
    """What trains, and searches: `mirrored` all GPUs of a machine,
    `multi_worker` (no searches) the machines of `TF_CONFIG` or of Slurm, see
    `docs/many-machines.md`. Batches are parted among them, so the results are
    the same. `auto` takes what there is, and Slurm if told to."""
    data_service: str | None = None
    """Address of a `tf.data` service whose workers make the training batches,
    such as `grpc://localhost:5000`; null makes them here."""

    @pydantic.model_validator(mode="after")
    def _plateau_has_no_warmup(self) -> Self:
        if self.schedule == "plateau" and self.warmup_steps:
            raise ValueError(
                "`schedule: plateau` has no warming up. Received: "
                f"warmup_steps={self.warmup_steps}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _last_ones_are_averaged(self) -> Self:
        if self.average_of == "last" and self.average == 1:
            raise ValueError(
                "`average_of: last` needs `average` above 1. Received: "
                f"average={self.average}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _momentum_is_of_sgd(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                "`momentum` is for `optimizer: sgd`. Received: "
                f"momentum={self.momentum}, optimizer={self.optimizer!r}"
            )
        return self


class DecodingConfig(Section):
    """Beam search."""

    beam_width: PositiveInt = 5
    """1 is greedy search."""
    length_penalty: LengthPenalty = 0.0
    """Exponent of the length normalisation; 0 compares log-probabilities,
    `average` log-probabilities per token."""
    coverage_penalty: Weight = 0.0
    """Weight of the penalty for parts of the source not attended to."""
    min_length: NonNegativeInt = 0
    """Shortest output, in tokens."""
    max_length: PositiveInt = 50
    """Longest output, in tokens, its end counted in; longer ones are cut."""
    no_repeat_ngram: NonNegativeInt = 0
    """Length of token sequences that must not occur twice; 0 allows all."""
    replace_unknown: bool = False
    """Write the source token most attended to instead of an unknown one."""


class EvaluationConfig(Section):
    """What is counted, and what it is called in reports."""

    token: str = "token"
    """Name of a target token, as in "phoneme error rate"."""
    sequence: str = "sequence"
    """Name of a whole target, as in "word error rate"."""
    measures: Choices[MeasureName] = ("token_error_rate", "sequence_error_rate")
    """What to measure: also `character_error_rate`, `exact_match`, and of
    sacrebleu `bleu`, `chrf` and `ter` (translation edit rate)."""
    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """How BLEU splits texts; `none` for what is tokenized already."""
    resamples: NonNegativeInt = 1000
    """From how many samples of the sentences intervals are told; 0: none."""
    n_best: PositiveInt = 1
    """How many hypotheses to keep of each source, at most the beam width."""
    max_examples: PositiveInt | None = None
    """Evaluate the first sources only; null evaluates all."""


class SpaceConfig(Section):
    """Values to try; what is null keeps its value of the recipe.

    The names are those of `model`, and `learning_rate` of `training`.
    """

    cell: Choices[Cell] | None = None
    units: Choices[PositiveInt] | None = None
    embedding_dim: Choices[PositiveInt] | None = None
    encoder_layers: Choices[PositiveInt] | None = None
    decoder_layers: Choices[PositiveInt] | None = None
    bidirectional: Choices[bool] | None = None
    attention: Choices[Attention] | None = None
    query: Choices[Query] | None = None
    input_feeding: Choices[bool] | None = None
    dropout: Choices[Fraction] | None = None
    recurrent_dropout: Choices[Fraction] | None = None
    learning_rate: Choices[PositiveFloat] | None = None


class TuningConfig(Section):
    """The search for hyperparameters."""

    algorithm: Literal["random", "hyperband"] = "random"
    max_trials: PositiveInt = 6
    """Number of models that random search tries."""
    epochs: PositiveInt = 1
    """Epochs per trial; with Hyperband, of the longest trials."""
    steps_per_epoch: PositiveInt | None = None
    """Batches per epoch of a trial; null takes the whole epoch."""
    space: SpaceConfig = SpaceConfig()


class Recipe(Section):
    """A whole recipe."""

    data: DataConfig
    source: VocabularyConfig = VocabularyConfig()
    target: VocabularyConfig = VocabularyConfig()
    second_source: SecondSourceConfig | None = None
    """A second source, with an encoder and an attention of its own, such as the
    features of an inflection: `laufen#V;PST`; null is none."""
    features: FeaturesConfig | None = None
    """Features of each word of the source, such as its part of speech
    (Sennrich & Haddow, 2016): `houses|NOUN|plural`; null is none."""
    joint_vocabulary: bool = False
    """Whether source and target have one vocabulary, of the texts of both."""
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tuning: TuningConfig = TuningConfig()

    @pydantic.field_validator("tuning")
    @classmethod
    def _searched_units_make_heads(
        cls, tuning: TuningConfig, info: pydantic.ValidationInfo
    ) -> TuningConfig:
        if model := info.data.get("model"):
            space = tuning.space
            _check_heads(
                space.attention or (model.attention,),
                space.units or (model.units,),
            )
        return tuning

    @pydantic.model_validator(mode="after")
    def _copies_have_ids(self) -> Self:
        model, training = self.model, self.training
        subwords = "subwords" in (self.source.split, self.target.split)
        if model.copying and subwords and not self.joint_vocabulary:
            raise ValueError(
                "`copying: true` of subwords needs `joint_vocabulary: true`"
            )
        if model.unknown_copies and subwords:
            raise ValueError(
                "`unknown_copies` is for words and characters: what is unknown "
                "of subwords are single characters. Received: "
                f"unknown_copies={model.unknown_copies}"
            )
        if model.unknown_copies and training.label_smoothing:
            raise ValueError(
                "`label_smoothing` would spread over `unknown_copies`, which "
                "most sentences have not: set one of them to 0"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _features_are_of_words(self) -> Self:
        second = self.second_source
        if self.features is None:
            return self
        if self.source.split != "words":
            raise ValueError(
                "`features` stand behind words and need `split: words` of the "
                f"source. Received: split={self.source.split!r}"
            )
        if second is not None and second.separator in self.features.separator:
            raise ValueError(
                "`features` and `second_source` need different separators. "
                f"Received: {self.features.separator!r} and "
                f"{second.separator!r}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _joint_means_same(self) -> Self:
        if self.joint_vocabulary and self.source != self.target:
            raise ValueError(
                "`joint_vocabulary: true` needs sections `source` and `target` "
                "that say the same"
            )
        return self

    def save(self, path: str | Path) -> None:
        """Write every key, defaults included, as YAML."""
        settings = self.model_dump(mode="json")
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        Path(path).write_text(text, encoding="utf-8")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and check it.

    Args:
        path: a YAML file. Relative paths in it start at its folder.
        overrides: `section.key=value` each, with the value in YAML; they beat
            the file. Relative paths in them start at the working directory.

    Raises:
        RecipeError: the file, a key or a value is wrong, in one line.
    """
    settings = read_settings(path)
    _anchor_paths(settings, Path(path).parent)
    overridden = [apply_override(settings, text) for text in overrides]
    _anchor_paths(settings, Path.cwd())
    try:
        return Recipe.model_validate(settings)
    except pydantic.ValidationError as error:
        message = describe(error, Recipe, str(path), overridden)
        raise RecipeError(message) from None


_PATHS = {"directory", "manual", "folder", "files", "tests"}


def _anchor_paths(settings: dict[str, Any], folder: Path) -> None:
    """Make the relative paths of `settings` start at `folder`, in place.

    Values of a wrong type are left for validation to report.
    """

    def anchored(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: anchored(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [anchored(inner) for inner in value]
        if isinstance(value, str):
            return str(folder.absolute() / Path(value).expanduser())
        return value

    data = settings.get("data")
    more = data.get("more") if isinstance(data, dict) else None
    for section in [data, *(more if isinstance(more, list) else [])]:
        if isinstance(section, dict):
            for key in _PATHS & section.keys():
                section[key] = anchored(section[key])
