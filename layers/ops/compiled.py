"""Functions compiled by XLA, each only once in a process."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# By what they compute. XLA keeps all that it has compiled until the process
# ends, so nothing lives longer by being kept here.
_COMPILED: dict[str, Any] = {}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that XLA compiles, unless it has compiled its like.

    Compiling takes seconds and megabytes, and XLA never frees them. So a
    model that is built once more, as in each trial of a search, and layers of
    the same size share what is compiled. That two functions compute the same
    is seen by their graphs, so it holds for the cells of others as well.

    Args:
        function: Takes and returns nested structures of tensors (None, and
            other constants of Python, may be among them). One that reads
            tensors which are no arguments, as constants of a cell, is not
            shared.
    """
    # A `tf.function` would keep its own trace, also where another is shared.
    found: dict[str, Any] = {}

    def call(*arguments: Any) -> Any:
        specs = repr(tf.nest.map_structure(_spec, arguments))
        if specs not in found:
            found[specs] = _shared(function, arguments)
        return found[specs](*arguments)

    return call


def _spec(argument: Any) -> Any:
    if tf.is_tensor(argument):
        return tf.TensorSpec.from_tensor(argument)
    return argument


def _shared(function: Callable[..., Any], arguments: Any) -> Any:
    traced = tf.function(
        function, jit_compile=True, autograph=False
    ).get_concrete_function(*arguments)
    if traced.captured_inputs:
        return traced
    return _COMPILED.setdefault(_contents(traced), traced)


def _contents(traced: Any) -> str:
    """What a function computes, without the names given on the way."""
    graph = traced.graph.as_graph_def()
    inner = {each.signature.name: str(each) for each in graph.library.function}
    del graph.library.function[:]
    given = re.compile(
        "|".join(
            [
                r"CustomGradient-\d+",
                *(rf"{re.escape(name)}(?!\d)" for name in inner),
            ]
        )
    )
    mentioned: list[str] = []

    def anonymous(text: str) -> bytes:
        def number(name: re.Match[str]) -> str:
            if name[0] not in mentioned:
                mentioned.append(name[0])
            return f"#{mentioned.index(name[0])}"

        return given.sub(number, text).encode()

    digest = hashlib.sha256(
        repr(
            (traced.structured_input_signature, traced.structured_outputs)
        ).encode()
    )
    digest.update(anonymous(str(graph)))
    for name in mentioned:  # grows while it is gone through
        digest.update(anonymous(inner.get(name, "")))
    return digest.hexdigest()
