"""Which subwords a text is best cut into."""

import io

from keras_recurrent.pipelines.origin import say
from keras_recurrent.pipelines.recipe_file import RecipeError
from keras_recurrent.pipelines.text.counting import TokenCounts

# Different words that are learned from at most; they take about 1 kB each.
_MOST_WORDS = 200_000


def learn_byte_pairs(words: TokenCounts, size: int) -> list[str]:
    """Learn pieces for `BytePairs` by sentencepiece, of the type `bpe`.

    From the words and how often they occur; that gives what whole sentences
    would, as no piece goes beyond a word.

    Args:
        words: The words, split at white space.
        size: How many pieces there are to be at most, all single characters
            of the words among them.

    Returns:
        The pieces in the order of their ranks. A space is the character
        U+2581 before a word.

    Raises:
        RecipeError: there are more characters than that.
    """
    order = words.most_common()
    if len(order) > _MOST_WORDS:
        total = sum(words.counts.values())
        used = sum(words.counts[w.encode()] for w in order[:_MOST_WORDS])
        say(
            f"Subwords are learned from the {_MOST_WORDS:,} most frequent of "
            f"{len(order):,} different words, {used / total:.1%} of all"
        )
        order = order[:_MOST_WORDS]
    # Only here, as whoever has learned needs it no more.
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(
                f"{word}\t{words.counts[word.encode()]}" for word in order
            ),
            input_format="tsv",
            model_writer=model,
            model_type="bpe",
            vocab_size=size + 1,  # with the unknown one
            bos_id=-1,
            eos_id=-1,
            hard_vocab_limit=False,
            character_coverage=1.0,
            # Texts are what they are; what is normalized is so before.
            normalization_rule_name="identity",
            max_sentence_length=2**20,
            minloglevel=2,
        )
    except RuntimeError as error:
        characters = len(set("".join(order)))
        if size > characters:
            raise
        raise RecipeError(
            f"the training text has {characters:,} different characters, so "
            f"max_size must be more than {characters + 4:,}. Received: "
            f"{size + 4:,}"
        ) from error
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [pieces.id_to_piece(i) for i in range(1, len(pieces))]
