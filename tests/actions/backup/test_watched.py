"""Nobody measures: everything is taken and nothing kept."""

from actions.backup.node import Node
from actions.backup.watched import MOST_BYTES, MOST_PATHS, Noting, Unwatched


def test_it_takes_what_the_archiver_tells() -> None:
    nobody = Unwatched()
    nobody.begin()
    nobody.piece(b"x", new=True)
    nobody.directory(b"/x", {}, [])
    assert vars(nobody) == {}


def test_what_was_read_is_noted_in_bounded_number_and_passed_on() -> None:
    told: list[bytes] = []

    class Inner(Unwatched):
        def file(self, path: bytes, before: Node | None, node: Node) -> None:
            told.append(path)

    node = Node(name="x", type="file", mtime="", atime="", ctime="", uid=0, gid=0, content=None)
    noting = Noting(Inner())
    for number in range(MOST_PATHS + 3):
        noting.file(b"/srv/%d" % number, None, node)
    assert (len(noting.paths), noting.beyond, len(told)) == (MOST_PATHS, 3, MOST_PATHS + 3)
    noting = Noting(None)
    noting.file(b"/" + b"x" * MOST_BYTES, None, node)
    noting.file(b"/short", None, node)
    assert (noting.paths, noting.beyond) == ([], 2)
