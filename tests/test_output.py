from __future__ import annotations

import os
import shutil

import pytest

from mgenv.errors import OutputError
from mgenv.output import prepare_file, prepare_folder, write_bytes, write_text


def test_a_folder_is_made(tmp_path):
    folder = prepare_folder(tmp_path / "a" / "b")
    assert folder.is_dir() and folder.is_absolute() and not list(folder.iterdir())


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="folder to write to; got .*file/below"):
        prepare_folder(tmp_path / "file" / "below")


def test_a_read_only_folder_is_an_error(tmp_path, monkeypatch):
    def read_only(*_args, **_kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    with pytest.raises(OutputError, match="Read-only file system"):
        prepare_folder(tmp_path)


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="50 MiB free .* got 1 MiB"):
        prepare_folder(tmp_path)


def test_a_file_is_not_touched_by_being_prepared(tmp_path):
    file = tmp_path / "results.json"
    assert prepare_file(file) == file and not file.exists()
    file.write_text("old")
    prepare_file(file)
    assert file.read_text() == "old"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OutputError, match="file to write; got the folder"):
        prepare_file(tmp_path)


def test_a_protected_file_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "results.json").write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="may be overwritten"):
        prepare_file(tmp_path / "results.json")


def test_files_are_written_whole(tmp_path):
    file = write_text(tmp_path / "new" / "a.txt", "größer")
    assert file.read_bytes() == "größer".encode()
    write_bytes(file, b"b")
    assert file.read_bytes() == b"b"
    assert os.listdir(file.parent) == ["a.txt"]


def test_a_file_where_none_can_be_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Expected to write"):
        write_text(tmp_path / "file" / "below", "a")
