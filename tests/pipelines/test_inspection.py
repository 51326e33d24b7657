"""What is said of the data, against counts in Python."""

from keras_recurrent.pipelines.inspection import inspect
from keras_recurrent.pipelines.recipe import load_recipe


def test_shares_and_lengths(tmp_path):
    train = [("ab", "x y"), ("abc", "x"), ("b", "x y z"), ("a", "y")]
    validation = [("abd", "x w"), ("dd", "v")]
    for name, pairs in (("train", train), ("validation", validation)):
        lines = [f"{source}\t{target}\n" for source, target in pairs]
        (tmp_path / f"{name}.tsv").write_text("".join(lines))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "data: {files: {train: train.tsv, validation: validation.tsv, "
        "test: none.tsv}}\n"
        "target: {split: words}\n"
        "training: {batch_size: 4}\n"
    )
    found = inspect(load_recipe(recipe), tmp_path / "lengths.png")
    assert found.lengths["train"].tolist() == [[2, 2], [3, 1], [1, 3], [1, 1]]
    assert found.unknown == {"train": (0, 0), "validation": (3 / 5, 2 / 3)}
    # One batch: 7 of 4·3 letters, and 11 of 4·4 tokens with their ends.
    assert found.padding == (1 - 7 / 12, 1 - 11 / 16)
    assert found.batches == 1
    assert found.pairs_per_second > 0
    assert found.examples[2] == (("b", "b"), ("x y z", "x y z"))
    assert (tmp_path / "lengths.png").exists()
