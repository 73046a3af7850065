"""Files are read without waiting for them."""

import os

import pytest
import trustme

from exporter.files import (
    describe_failure,
    identity,
    is_accessible,
    read_certificates,
    read_file,
    read_text,
)

PEM = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes()


def test_a_regular_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")

    assert read_file(tmp_path / "file", 4) == b"0123"


@pytest.mark.timeout(5)
def test_a_fifo_without_a_writer_is_an_error_at_once(tmp_path):
    os.mkfifo(tmp_path / "file")

    with pytest.raises(OSError, match="not a regular file"):
        read_file(tmp_path / "file", 4)


def test_a_folder_is_an_error_that_says_so(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path, 4)


def test_certificates_may_have_comments_in_any_encoding(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"# \xff\xc3\xa9\n" + PEM)

    assert read_certificates(tmp_path / "ca.pem").endswith(PEM.decode())


def test_a_file_is_accessible_whatever_it_is_unless_it_is_missing(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    names = ["file", "fifo", ".", "missing", "file/below"]

    assert [is_accessible(tmp_path / name) for name in names] == [True, True, True, False, False]


def test_a_failure_to_read_a_file_of_another_user_names_the_user_of_the_process(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 65532)

    assert describe_failure(PermissionError(13, "Permission denied")) == (
        "Permission denied (user 65532)"
    )
    assert describe_failure(FileNotFoundError(2, "No such file or directory")) == (
        "No such file or directory"
    )


@pytest.mark.parametrize("content", [b"", b"no certificate", PEM.replace(b"E", b"F", 3)])
def test_a_file_without_certificates_is_an_error(tmp_path, content):
    (tmp_path / "ca.pem").write_bytes(content)

    with pytest.raises(OSError, match="no certificates in PEM format"):
        read_certificates(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"\xff", "not UTF-8 text"), (b"x" * 1_048_577, "larger than a megabyte")],
)
def test_what_is_no_text_is_an_error_that_says_why(tmp_path, content, problem):
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(OSError, match=problem):
        read_text(tmp_path / "file")


def test_a_file_has_another_identity_when_another_takes_its_place(tmp_path):
    (tmp_path / "file").write_bytes(b"a")
    before = identity(tmp_path / "file")
    (tmp_path / "new").write_bytes(b"b")
    (tmp_path / "new").rename(tmp_path / "file")

    assert identity(tmp_path / "file") not in {before, None}
    assert identity(tmp_path / "none") is None
