"""Nobody measures: everything is taken and nothing kept."""

from actions.backup.watched import Unwatched


def test_it_takes_what_the_archiver_tells() -> None:
    nobody = Unwatched()
    nobody.begin()
    nobody.piece(b"x", new=True)
    nobody.directory(b"/x", {}, [])
    assert vars(nobody) == {}
