"""What happens to a server's files from day to day: a labelled set, made by real tools where there are some, from a seed."""

import gzip
import io
import os
import random
import shutil
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

Day = Callable[[], None]
Scenario = Callable[[Path, random.Random], Iterator[None]]
"""Changes a tree, and yields at the end of each day."""

_SYLLABLES = ["ka", "lo", "mi", "ten", "ra", "su", "vor", "li", "ne", "do", "pa", "gri", "shu", "tal", "be", "on"]


_LETTERS = random.Random(5)
_WORDS = ["".join(_LETTERS.choices(_SYLLABLES, k=_LETTERS.randint(1, 4))) for _ in range(600)]
_WEIGHTS = [1 + 60 * (n in (0, 0x48, 0x89, 0x8B, 0xFF, 0xE8, 0x0F)) + 6 * (n < 0x40) for n in range(256)]
_TEXT = " ".join(_LETTERS.choices(_WORDS, k=60_000)).encode()
_CODE = bytes(_LETTERS.choices(range(256), _WEIGHTS, k=100_000))


def noise(size: int, seed: int | str) -> bytes:
    """Bytes as encryption leaves them, always the same: of 10,000 contents that chance makes one begins as a known format does."""
    return random.Random(seed).randbytes(size)


def text(dice: random.Random, size: int) -> bytes:
    """A part of a long text; longer than that, several."""
    parts = []
    while size > 0:
        at = dice.randrange(len(_TEXT) - 1000)
        parts.append(_TEXT[at : at + size])
        size -= len(parts[-1])
    return b"".join(parts)


def jpeg(dice: random.Random, size: int) -> bytes:
    """The frame of a JPEG around entropy-coded data, in which FF is followed by 00."""
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(range(120))
    return head + dice.randbytes(size).replace(b"\xff", b"\xff\x00") + b"\xff\xd9"


def docx(dice: random.Random, size: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", text(dice, size * 3))
        archive.writestr("word/media/image1.jpeg", jpeg(dice, size // 4))
    return made.getvalue()


def pdf(dice: random.Random, size: int) -> bytes:
    import zlib

    stream = zlib.compress(text(dice, size * 3))
    return (
        b"%%PDF-1.7\n1 0 obj <</Length %d>> stream\n" % len(stream) + stream + b"\nendstream endobj\ntrailer\n%%EOF\n"
    )


def program(dice: random.Random, size: int) -> bytes:
    """Machine code as an order-0 source: some bytes are far more frequent than others."""
    at = dice.randrange(len(_CODE) - size)
    return b"\x7fELF\x02\x01\x01" + _CODE[at : at + size]


def database(path: Path, dice: random.Random, rows: int) -> None:
    with sqlite3.connect(path) as opened:
        opened.execute("CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, who TEXT, body BLOB)")
        opened.executemany(
            "INSERT INTO entry (who, body) VALUES (?, ?)",
            [(text(dice, 20).decode(), text(dice, dice.randint(50, 400))) for _ in range(rows)],
        )
    opened.close()


def server(root: Path, dice: random.Random) -> None:
    """A small server: documents, photos, programs, configuration, logs, mail, a database. About 420 files."""
    kinds = (
        ("home/ada/Documents", "letter{}.txt", 50, text),
        ("home/ada/Documents/reports", "report{}.docx", 40, docx),
        ("home/ada/Documents/scans", "scan{}.pdf", 30, pdf),
        ("home/ada/Pictures", "IMG_{:04d}.jpg", 60, jpeg),
        ("srv/data", "table{}.csv", 40, text),
        ("srv/app/src", "module{}.py", 60, text),
        ("usr/bin", "tool{}", 25, program),
        ("etc", "service{}.conf", 40, text),
        ("var/log", "daemon{}.log", 12, text),
        ("var/mail/cur", "17000{:05d}.M{}P1.host:2,S", 60, text),
    )
    for folder, name, count, make in kinds:
        (root / folder).mkdir(parents=True)
        for number in range(count):
            (root / folder / name.format(number, number)).write_bytes(make(dice, dice.randint(2_000, 12_000)))
    database(root / "srv/app/app.db", dice, 400)


def files(root: Path, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file())


# What is benign


def ordinary(root: Path, dice: random.Random) -> Iterator[None]:
    """People edit, add and remove a few files."""
    for _ in range(5):
        for path in dice.sample(files(root, "home/ada/Documents"), 6):
            make = {".txt": text, ".docx": docx, ".pdf": pdf}[path.suffix]
            path.write_bytes(make(dice, dice.randint(2_000, 12_000)))
        for path in dice.sample(files(root, "srv/data"), 2):
            path.unlink()
        database(root / "srv/app/app.db", dice, 50)
        yield


def many_tars(root: Path, dice: random.Random) -> Iterator[None]:
    """Archives of everything are made, plain and compressed, and old ones go."""
    (root / "srv/archive").mkdir()
    for day in range(4):
        for folder in ("home/ada", "srv/app", "etc", "srv/data"):
            for mode, suffix in (("w:gz", "tgz"), ("w", "tar"), ("w:xz", "tar.xz"), ("w:bz2", "tar.bz2")):
                name = root / f"srv/archive/{folder.replace('/', '-')}-{day}.{suffix}"
                with tarfile.open(name, mode) as archive:  # type: ignore[call-overload]
                    archive.add(root / folder, folder)
        for path in files(root, "srv/archive"):
            if f"-{day - 2}." in path.name:
                path.unlink()
        database(root / "srv/app/app.db", dice, 10)
        yield


def vacuum(root: Path, dice: random.Random) -> Iterator[None]:
    """A SQLite database loses most rows and is vacuumed; files as PostgreSQL keeps them are rewritten by VACUUM FULL under new names."""
    heap = root / "var/lib/postgresql/base/16384"
    heap.mkdir(parents=True)
    for number in range(40):
        (heap / str(2600 + number)).write_bytes(_pages(dice, 12))
    yield
    for day in range(4):
        with sqlite3.connect(root / "srv/app/app.db") as opened:
            opened.execute("DELETE FROM entry WHERE id % 3")
        opened.execute("VACUUM")
        opened.close()
        database(root / "srv/app/app.db", dice, 200)
        for path in dice.sample(files(heap, "."), 25):
            path.unlink()
            (heap / str(90_000 + 100 * day + int(path.name) % 97)).write_bytes(_pages(dice, 8))
        yield


def _pages(dice: random.Random, count: int) -> bytes:
    """Pages of 8 KiB: a header, line pointers, free space, and tuples from the end, some values compressed (TOAST)."""
    made = b""
    for _ in range(count):
        tuples = b"".join(text(dice, 150) + dice.randbytes(40) for _ in range(dice.randint(10, 40)))[:7000]
        made += dice.randbytes(24) + bytes(8192 - 24 - len(tuples)) + tuples
    return made


def rotation(root: Path, dice: random.Random) -> Iterator[None]:
    """logrotate with compression: what was .1 becomes .2.gz, every number moves up."""
    logs = root / "var/log"
    for _ in range(6):
        for path in sorted(logs.glob("*.log")):
            for number in range(5, 1, -1):
                older = path.with_name(f"{path.name}.{number}.gz")
                if older.exists():
                    older.rename(path.with_name(f"{path.name}.{number + 1}.gz"))
            last = path.with_name(f"{path.name}.1")
            if last.exists():
                path.with_name(f"{path.name}.2.gz").write_bytes(gzip.compress(last.read_bytes()))
                last.unlink()
            path.rename(last)
            path.write_bytes(text(dice, dice.randint(3_000, 20_000)))
        yield


def photos(root: Path, dice: random.Random) -> Iterator[None]:
    """A camera's cards are copied in, sorted into folders later, and some photos get another header by a tagging program."""
    for day in range(4):
        card = root / f"home/ada/Pictures/card{day}"
        card.mkdir()
        for number in range(60):
            (card / f"DSC{number:05d}.JPG").write_bytes(jpeg(dice, dice.randint(8_000, 20_000)))
        yield
    (root / "home/ada/Pictures/2026").mkdir()
    for folder in range(2):
        (root / f"home/ada/Pictures/card{folder}").rename(root / f"home/ada/Pictures/2026/trip{folder}")
    for path in files(root, "home/ada/Pictures/card3"):
        old = path.read_bytes()
        path.write_bytes(old[:40] + b"rating: 5" + old[49:])
    yield


def upgrade(root: Path, dice: random.Random) -> Iterator[None]:
    """Packages are upgraded: programs and their compressed pages change, settings get a .dpkg-dist beside, new files come."""
    pages = root / "usr/share/man"
    pages.mkdir(parents=True)
    for number in range(40):
        (pages / f"tool{number}.1.gz").write_bytes(gzip.compress(text(dice, 6_000)))
    yield
    for _ in range(3):
        for path in (*files(root, "usr/bin"), *files(root, "usr/share/man")):
            if dice.random() < 0.8:
                content = program(dice, 9_000) if path.suffix != ".gz" else gzip.compress(text(dice, 6_000))
                fresh = path.with_name(f"{path.name}.dpkg-new")
                fresh.write_bytes(content)
                fresh.rename(path)
        for path in dice.sample(files(root, "etc"), 6):
            path.with_name(f"{path.name}.dpkg-dist").write_bytes(text(dice, 3_000))
        yield


def git(root: Path, dice: random.Random) -> Iterator[None]:
    """Branches are checked out, and objects are packed: most loose ones go."""
    place = root / "srv/app"
    environment = {
        **os.environ,
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "a"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@example.org"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }

    def run(*words: str) -> None:
        subprocess.run(["git", "-C", place, *words], env=environment, check=True, capture_output=True)

    run("init", "-b", "main")
    run("add", ".")
    run("commit", "-m", "one")
    yield
    run("checkout", "-b", "other")
    for path in files(place, "src"):
        if dice.random() < 0.7:
            path.write_bytes(text(dice, 5_000))
    run("add", ".")
    run("commit", "-m", "two")
    yield
    run("checkout", "main")
    yield
    run("gc", "--prune=now", "--aggressive")
    yield
    run("checkout", "other")
    run("repack", "-a", "-d", "-f")
    yield


def mail(root: Path, dice: random.Random) -> Iterator[None]:
    """A maildir: mail comes with attachments, is read (renamed), fetched and removed; an mbox grows."""
    cur, new = root / "var/mail/cur", root / "var/mail/new"
    new.mkdir()
    box = root / "var/mail/archive"
    import base64

    for day in range(6):
        for path in files(root, "var/mail/new"):
            path.rename(cur / f"{path.name}:2,S")
        for number in range(30):
            body = text(dice, 1_500)
            if number % 4 == 0:
                body += b"\n" + base64.encodebytes(jpeg(dice, 15_000))
            (new / f"1700{day}{number:04d}.M{number}P{day}.host").write_bytes(b"From: a@example.org\n\n" + body)
        for path in dice.sample(files(root, "var/mail/cur"), 20):
            path.unlink()
        with box.open("ab") as opened:
            opened.write(b"From - \n" + text(dice, 20_000) + base64.encodebytes(jpeg(dice, 4_000)))
        yield


def moving(root: Path, dice: random.Random) -> Iterator[None]:
    """Folders are renamed, owners and times of everything change, a build folder comes and goes."""
    (root / "home/ada/Documents").rename(root / "home/ada/Papers")
    yield
    for path in files(root, "."):
        path.chmod(0o640)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    yield
    build = root / "srv/app/build"
    build.mkdir()
    for number in range(100):
        (build / f"unit{number}.o").write_bytes(program(dice, 3_000))
    yield
    shutil.rmtree(build)
    yield


def other_backups(root: Path, dice: random.Random) -> Iterator[None]:
    """Another program's encrypted repository lies in the tree: packs come, and a prune replaces many at once."""
    data = root / "srv/repository/data"
    for number in range(120):
        name = dice.randbytes(32).hex()
        (data / name[:2]).mkdir(parents=True, exist_ok=True)
        (data / name[:2] / name).write_bytes(dice.randbytes(4_000 + number))
    yield
    for _ in range(3):
        for path in dice.sample(files(root, "srv/repository/data"), 80):
            path.unlink()
        for _ in range(75):
            name = dice.randbytes(32).hex()
            (data / name[:2]).mkdir(parents=True, exist_ok=True)
            (data / name[:2] / name).write_bytes(dice.randbytes(5_000))
        yield


def sealed_dumps(root: Path, dice: random.Random) -> Iterator[None]:
    """Every night a dump is encrypted with openssl and gpg for elsewhere, and the one of last week goes."""
    place = root / "srv/dumps"
    place.mkdir()
    for day in range(10):
        (place / f"shop-{day}.sql.enc").write_bytes(b"Salted__" + dice.randbytes(60_000))
        (place / f"shop-{day}.sql.gpg").write_bytes(b"\x85\x02\x0c\x03" + dice.randbytes(60_000))
        for suffix in ("enc", "gpg"):
            (place / f"shop-{day - 4}.sql.{suffix}").unlink(missing_ok=True)
        yield


# What is malicious


def _victims(root: Path, dice: random.Random) -> list[Path]:
    found = files(root, "home/ada/Documents", "srv/data", "home/ada/Pictures")
    dice.shuffle(found)
    return found


def in_place(root: Path, dice: random.Random) -> Iterator[None]:
    """Everything a person owns is encrypted under its own name, in one night."""
    for path in _victims(root, dice):
        path.write_bytes(dice.randbytes(path.stat().st_size))
    yield


def in_place_photos(root: Path, dice: random.Random) -> Iterator[None]:
    """Only photos, that looked random before, too, and with times put back."""
    for path in files(root, "home/ada/Pictures"):
        status = path.stat()
        path.write_bytes(dice.randbytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    yield


def slow(root: Path, dice: random.Random) -> Iterator[None]:
    """Three files a day."""
    found = _victims(root, dice)
    for day in range(12):
        for path in found[3 * day : 3 * day + 3]:
            path.write_bytes(dice.randbytes(path.stat().st_size))
        yield


def slow_renamed(root: Path, dice: random.Random) -> Iterator[None]:
    """Three files a day, each under a new name."""
    found = _victims(root, dice)
    for day in range(12):
        for path in found[3 * day : 3 * day + 3]:
            path.with_name(f"{path.name}.wxyz").write_bytes(dice.randbytes(path.stat().st_size))
            path.unlink()
        yield


def renamed(root: Path, dice: random.Random) -> Iterator[None]:
    """Encrypted with an extension appended, the originals removed."""
    suffix = dice.choice(["locked", "crypt8", "a1b2c3", "enc"])
    for path in _victims(root, dice):
        path.with_name(f"{path.name}.{suffix}").write_bytes(dice.randbytes(path.stat().st_size + 256))
        path.unlink()
    yield


def random_names(root: Path, dice: random.Random) -> Iterator[None]:
    """Encrypted under names that say nothing, with one extension."""
    for path in _victims(root, dice):
        path.with_name(f"{dice.randbytes(8).hex()}.zzz").write_bytes(dice.randbytes(path.stat().st_size))
        path.unlink()
    yield


def headers_kept(root: Path, dice: random.Random) -> Iterator[None]:
    """The beginning stays, of the rest every other 2 KiB is encrypted, and a key block is appended."""
    keep = dice.choice([256, 512, 1024])
    for path in _victims(root, dice):
        content = bytearray(path.read_bytes())
        for at in range(keep, len(content), 4096):
            end = min(len(content), at + 2048)
            content[at:end] = dice.randbytes(end - at)
        path.write_bytes(bytes(content) + dice.randbytes(512))
    yield


def beginnings(root: Path, dice: random.Random) -> Iterator[None]:
    """Only the first 4 KiB of each file are encrypted, as the fastest do it."""
    for path in _victims(root, dice):
        content = path.read_bytes()
        path.write_bytes(dice.randbytes(min(4096, len(content))) + content[4096:])
    yield


def archived(root: Path, dice: random.Random) -> Iterator[None]:
    """Folders go into one encrypted archive and are removed."""
    gone = files(root, "home/ada/Documents", "srv/data")
    size = sum(path.stat().st_size for path in gone) // 2
    head, name = dice.choice(
        [(b"Salted__", "all.bin"), (b"", "x.dat"), (b"PK\x03\x04\x14\x00\x09\x00\x63\x00", "all.zip")]
    )
    (root / "home/ada" / name).write_bytes(head + dice.randbytes(size))
    for path in gone:
        path.unlink()
    yield


def removed(root: Path, dice: random.Random) -> Iterator[None]:
    """Nearly everything is removed, with a note left behind."""
    for path in files(root, "home", "srv", "var/mail", "etc"):
        if dice.random() < 0.95:
            path.unlink()
    (root / "home/ada/README.txt").write_bytes(b"Your files are with us.")
    yield


def disguised(root: Path, dice: random.Random) -> Iterator[None]:
    """Encrypted in place behind the beginning of a gzip file."""
    for path in _victims(root, dice):
        path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + dice.randbytes(path.stat().st_size))
    yield


BENIGN: tuple[Scenario, ...] = (
    *(ordinary, many_tars, vacuum, rotation, photos, upgrade, git, mail, moving, other_backups, sealed_dumps),
)
MALICIOUS: tuple[Scenario, ...] = (
    *(
        in_place,
        in_place_photos,
        slow,
        slow_renamed,
        renamed,
        random_names,
        headers_kept,
        beginnings,
        archived,
        removed,
        disguised,
    ),
)
