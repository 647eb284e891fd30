"""The book knows what was scanned as it is, and nothing else."""

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from actions.antivirus.book import opened
from contracts.openings import Stamp


def stamp(number):
    return Stamp(device=1, inode=number, size=number, mtime_ns=number, ctime_ns=number)


def test_what_was_noted_is_known_with_its_signatures(tmp_path):
    with opened(str(tmp_path)) as book:
        epoch = book.epoch("ClamAV 1/27001")
        assert book.scanned(b"/a/f", stamp(1)) == 0
        book.clean(b"/a/f", stamp(1), epoch)
        assert book.scanned(b"/b/f", stamp(1)) == 0
        book.clean(b"/a/late", stamp(2), epoch)
    with opened(str(tmp_path)) as book:
        assert book.epoch("ClamAV 1/27001") == epoch != book.epoch("ClamAV 1/27002")
        assert book.scanned(b"/a/f", stamp(1)) == epoch == book.scanned(b"/a/late", stamp(2))
        assert book.scanned(b"/a/f", stamp(3)) == 0


_OPERATIONS = st.lists(
    st.tuples(st.sampled_from([b"/a", b"/b", b"/a/c"]), st.sampled_from([b"x", b"y", b"z"]), st.integers(1, 3)),
    max_size=30,
    unique_by=lambda each: each[:2],
)


@settings(max_examples=50, deadline=None)
@given(_OPERATIONS)
def test_it_never_says_more_than_was_noted(tmp_path_factory, operations):
    folder = str(tmp_path_factory.mktemp("book"))
    noted = {}
    with opened(folder) as book:
        epoch = book.epoch("one")
        for parent, name, number in sorted(operations):
            path = parent + b"/" + name
            assert book.scanned(path, stamp(number)) == (epoch if noted.get(path) == number else 0)
            book.clean(path, stamp(number), epoch)
            noted[path] = number
    with opened(folder) as book:
        for path, number in sorted(noted.items(), key=lambda pair: pair[0].rpartition(b"/")):
            assert book.scanned(path, stamp(number)) == epoch
            assert book.scanned(path, stamp(number + 7)) == 0


ON_A_FULL_DISK = """
import sys
from pathlib import Path
from actions.antivirus.book import opened
from contracts.openings import Stamp

folder = sys.argv[1]

def stamp(number):
    return Stamp(device=1, inode=number, size=number, mtime_ns=number, ctime_ns=number)

def fill():
    try:
        with Path(folder, "ballast").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass

with opened(folder) as book:
    book.clean(b"/a/f", stamp(1), book.epoch("one"))
    assert not book.trouble
fill()
with opened(folder) as book:  # not even the index of the file fits
    assert "full" in book.trouble, book.trouble
    assert book.scanned(b"/a/f", stamp(1)) == 0
    book.clean(b"/a/f", stamp(1), book.epoch("two"))
Path(folder, "ballast").unlink()
with opened(folder) as book:
    assert book.scanned(b"/a/f", stamp(1)) == book.epoch("one"), "a full disk cost what was known"
    fill()
    for number in range(20000):
        book.clean(b"/a/%d/%d" % (number, number), stamp(number), 1)
        book.scanned(b"/b/%d" % number, stamp(number))
assert "full" in book.trouble, book.trouble
Path(folder, "ballast").unlink()
with opened(folder) as book:
    assert (book.scanned(b"/a/f", stamp(1)), book.trouble) == (book.epoch("one"), "")
print("ok")
"""


def test_on_a_full_disk_a_scan_goes_on_and_what_is_known_stays(tmp_path):
    command = f'mount -t tmpfs -o size=512k none "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}"'
    argv = ["unshare", "-m", "sh", "-c", command, ON_A_FULL_DISK]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_a_book_that_is_damaged_in_its_middle_knows_nothing_and_is_begun_anew(tmp_path):
    with opened(str(tmp_path)) as book:
        epoch = book.epoch("ClamAV 1/27001")
        for number in range(400):
            path = b"/" + b"x" * 100 + b"/%d/f" % number
            assert book.scanned(path, stamp(1)) == 0
            book.clean(path, stamp(1), epoch)
    file = tmp_path / "scans.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:12288] + b"\xa5" * (len(whole) - 12288))
    with opened(str(tmp_path)) as book:
        epoch = book.epoch("ClamAV 1/27001")
        known = [book.scanned(b"/" + b"x" * 100 + b"/%d/f" % number, stamp(1)) for number in range(400)]
        assert set(known) <= {0, epoch} and 0 in known and "the book of scans is damaged" in book.trouble
    assert not file.exists()
    with opened(str(tmp_path)) as book:
        assert book.trouble == "" and book.epoch("ClamAV 1/27001") == 1
