"""Text is kept and its differences are shown where the settings say so; secrets and what is no text never are."""

from pathlib import Path

from collectors.integrity.book import FILE, Book
from tests.collectors.integrity.running import options, replace_file, running


def test_lines_that_differ_are_in_the_event_and_secrets_are_not_kept(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, content in (
        ("conf", b"a\nb\n"),
        ("secret.key", b"topsecret\n"),
        ("binary", b"\0\1"),
        ("big", b"x" * 500),
    ):
        (tree / name).write_bytes(content)
    chosen = options(tree, diff_below=100, no_diff=("*.key",))
    with running(tmp_path / "state", chosen) as watch:
        watch.based()
        replace_file(tree / "conf", b"a\nc\n")
        replace_file(tree / "secret.key", b"another\n")
        replace_file(tree / "binary", b"\0\2")
        replace_file(tree / "big", b"y" * 500)
        (tree / "conf").rename(tree / "moved")
        watch.until(lambda: len(watch.kinds()) >= 4)
        (tree / "moved").write_bytes(b"a\nd\n")
        watch.until(lambda: any(e.key.endswith("moved") and "+d" in e.evidence.get("diff", "") for e in watch.told))
    shown = {e.key.rpartition("/")[2]: e.evidence.get("diff", "") for e in watch.told}
    assert all(shown.get(name, "") == "" for name in ("secret.key", "binary", "big"))
    book = Book(tmp_path / "state" / FILE)
    kept = {
        name for name in ("conf", "secret.key", "binary", "big", "moved") if book.text(bytes(tree / name)) is not None
    }
    book.close()
    assert kept == {"moved"}
    assert b"topsecret" not in (tmp_path / "state" / FILE).read_bytes()
