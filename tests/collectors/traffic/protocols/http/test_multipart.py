import pytest

from collectors.traffic.protocols.http.multipart import Multipart, boundary_of, file_name_of
from collectors.traffic.protocols.news import File

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\nContent-Type: a/b\r\n\r\none\r\n--two\r\n\r\n--B--\r\n'
)


@pytest.mark.parametrize("size", [1, 2, 5, 17, 1000])
def test_files_of_a_form_are_cut_out_in_any_pieces(size: int) -> None:
    files: list[File] = []

    def opened(name: bytes) -> File:
        files.append(File(False, name))
        return files[-1]

    form = Multipart(b"B", opened)
    for at in range(0, len(FORM), size):
        form.feed(FORM[at : at + size])
    form.close()
    assert [(file.name, file.kept.content(), file.closed, file.truncated) for file in files] == [
        (b"x.bin", b"one\r\n--two\r\n", True, False)
    ]
    assert form.events == []


def test_a_form_that_breaks_off_leaves_a_truncated_file_and_says_so() -> None:
    files: list[File] = []
    form = Multipart(b"B", lambda name: files.append(File(False, name)) or files[-1])
    form.feed(b'--B\r\nContent-Disposition: form-data; filename="a"\r\n\r\n')
    form.close()
    assert files[0].truncated and form.events == ["multipart_no_filedata"]


def test_boundaries_and_names() -> None:
    assert boundary_of(b'multipart/form-data; charset=x; boundary="a b"') == b"a b"
    assert boundary_of(b"multipart/form-data; boundary=zz;x=y") == b"zz"
    assert boundary_of(b"application/json") is None
    assert file_name_of(b'attachment; filename="q\\"x.txt"') == b'q\\"x.txt'
    assert file_name_of(b"attachment; filename=plain.txt") == b"plain.txt"
    assert file_name_of(b"inline") is None
