"""Files that are there as a whole or not at all."""

import errno
import hashlib
import os

import pytest

from keras_recurrent.pipelines import files
from keras_recurrent.pipelines.files import (
    check_writable,
    digest,
    whole_file,
)


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        before = path.read_text() if path.exists() else None
        with whole_file(path) as draft:
            draft.write_text(text)
            assert draft.parent == path.parent
            assert draft.suffix == ".txt"
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("interruption", [OSError, KeyboardInterrupt])
def test_what_was_there_stays_if_writing_fails(tmp_path, interruption):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(interruption):
        with whole_file(path) as draft:
            draft.write_text("half")
            raise interruption
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_named_that_cannot_be_written(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError) as found, whole_file(path) as draft:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(draft))
    assert found.value.filename == str(path)


def test_a_folder_where_nothing_can_be_written(tmp_path):
    check_writable(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").touch()
    for below in ("file", "file/new"):
        with pytest.raises(OSError) as found:
            check_writable(tmp_path / below)
        assert str(found.value.filename) == str(tmp_path / below)


def test_a_read_only_folder(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "of no use")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match=f"Read-only .*{tmp_path}"):
        check_writable(tmp_path)


def test_a_digest_is_of_the_contents(tmp_path):
    path = tmp_path / "a.txt"
    contents = b"0123456789" * 250_000
    path.write_bytes(contents)
    sha256 = hashlib.sha256(contents).hexdigest()
    assert digest(path) == f"2,500,000 bytes, sha256 {sha256[:16]}"
