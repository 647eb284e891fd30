"""Which kind of file some content is, by how it begins, by its name, and by marks that its own encryption would destroy. Pure.

Sources: the formats' own descriptions (JPEG: ITU T.81 B.1.1.2 and F.1.2.3; PDF: ISO 32000-1 7.5.5; zip: PKWARE's APPNOTE 4.3.16; RFC 1952,
RFC 8878) and file(1)'s list of beginnings.
"""

import re

from contracts.record import Record

SLICE = 512
"""Bytes of one slice that is looked at."""

LEAST = 256
"""Of fewer bytes nothing is said."""

_QUICK = 138
"""Of 256 random bytes 162 values show, give or take 5."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"PACK\x00\x00\x00", "git pack"),
    (b"\xfftOc", "git index"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"RIFF", "riff"),
    (b"wOFF", "woff"),
    (b"wOF2", "woff"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"PAR1", "parquet"),
    (b"\x7fELF", "elf"),
    (b"SQLite format 3\x00", "sqlite"),
    (b"!<arch>\n", "ar"),
    (b"\xed\xab\xee\xdb", "rpm"),
    (b"\xd0\xcf\x11\xe0", "ole"),
    (b"LUKS\xba\xbe", "luks"),
    (b"QFI\xfb", "qcow2"),
    (b"KDMV", "vmdk"),
    (b"\x03\xd9\xa2\x9a", "keepass"),
    (b"LPKSHHRH", "journal"),
    (b"\xca\xfe\xba\xbe", "class"),
    (b"hsqs", "squashfs"),
    (b"Salted__", "openssl"),
    (b"age-encryption.org/", "age"),
    (b"-----BEGIN PGP", "pgp"),
)
_ZLIB = (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x78\x5e")

COMPRESSED = frozenset(
    [
        *(
            "jpeg",
            "png",
            "gif",
            "zip",
            "gzip",
            "xz",
            "zstd",
            "bzip2",
            "lz4",
            "7z",
            "rar",
            "git pack",
            "zlib",
            "ogg",
            "flac",
            "mp3",
        ),
        *(
            "matroska",
            "riff",
            "woff",
            "mp4",
            "rpm",
            "ar",
            "luks",
            "keepass",
            "squashfs",
            "parquet",
            "pgp",
            "age",
            "pdf",
            "qcow2",
        ),
    ]
)
"""Formats whose content looks random although it is what its name says."""

SEALED = frozenset({"openssl", "age", "pgp"})
"""Formats of encryption itself."""

_WANTED = {
    **dict.fromkeys(("jpg", "jpeg"), "jpeg"),
    "png": "png",
    "gif": "gif",
    "pdf": "pdf",
    **dict.fromkeys(("zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "jar", "epub", "apk"), "zip"),
    **dict.fromkeys(("gz", "tgz"), "gzip"),
    "xz": "xz",
    "zst": "zstd",
    "bz2": "bzip2",
    "7z": "7z",
    "flac": "flac",
    "mkv": "matroska",
    **dict.fromkeys(("mp4", "mov", "m4a", "heic"), "mp4"),
    **dict.fromkeys(("doc", "xls", "ppt"), "ole"),
    **dict.fromkeys(("sqlite", "sqlite3"), "sqlite"),
}
_KNOWN = frozenset(
    [
        *_WANTED,
        *(
            "txt",
            "md",
            "rst",
            "csv",
            "tsv",
            "log",
            "json",
            "xml",
            "yaml",
            "yml",
            "toml",
            "ini",
            "conf",
            "cfg",
            "html",
            "htm",
            "css",
        ),
        *(
            "js",
            "ts",
            "py",
            "pyc",
            "pyo",
            "c",
            "h",
            "cc",
            "cpp",
            "hpp",
            "o",
            "so",
            "a",
            "go",
            "rs",
            "java",
            "class",
            "rb",
            "pl",
            "php",
            "sh",
        ),
        *(
            "sql",
            "db",
            "dump",
            "bak",
            "old",
            "orig",
            "tmp",
            "temp",
            "swp",
            "part",
            "new",
            "save",
            "rej",
            "patch",
            "diff",
            "lock",
            "pid",
        ),
        *(
            "tar",
            "rar",
            "lz4",
            "lzma",
            "br",
            "deb",
            "rpm",
            "iso",
            "img",
            "qcow2",
            "vmdk",
            "vdi",
            "raw",
            "bin",
            "dat",
            "idx",
            "pack",
            "rev",
        ),
        *(
            "webp",
            "avif",
            "bmp",
            "tif",
            "tiff",
            "svg",
            "ico",
            "eps",
            "psd",
            "mp3",
            "ogg",
            "opus",
            "wav",
            "aac",
            "avi",
            "webm",
            "mpg",
            "mpeg",
        ),
        *(
            "eml",
            "mbox",
            "ics",
            "vcf",
            "pst",
            "rtf",
            "tex",
            "key",
            "pem",
            "crt",
            "csr",
            "asc",
            "sig",
            "gpg",
            "pgp",
            "age",
            "enc",
        ),
        *(
            "service",
            "timer",
            "socket",
            "list",
            "rules",
            "map",
            "ttf",
            "otf",
            "woff",
            "woff2",
            "po",
            "mo",
            "parquet",
            "rdb",
            "aof",
            "wal",
        ),
    ]
)
_OLD = re.compile(r"\d+|dpkg-\w+|rpm(new|save|orig)|ucf-\w+|\d{4}-?\d\d-?\d\d|~")
_ENDS = {"zip": (b"PK\x05\x06", 128), "pdf": (b"%%EOF", SLICE), "png": (b"IEND", 16)}
"""What stands near the end of a whole file of the format, and within how many bytes; a zip may bear a comment behind, which few do."""


def format_of(head: bytes) -> str:
    """The format of a file that begins with `head` (512 bytes are enough); "" when it is none that is known."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[257:262] == b"ustar":
        return "tar"
    return "zlib" if head[:2] in _ZLIB else ""


def sealed(head: bytes, tail: bytes) -> bool:
    """Whether content says of itself that it is encrypted: openssl, age, OpenPGP, a zip (APPNOTE 4.4.4, bit 0) or a 7z (AES coder)."""
    format = format_of(head)
    if format == "zip":
        return len(head) > 7 and bool(head[6] & 1)
    if format == "7z":
        return b"\x06\xf1\x07\x01" in tail
    return format in SEALED


def extension(name: str) -> str:
    """The extension of a file's name in lower case without the dot; "" for none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem and len(last) <= 32 else ""


def wanted(name: str) -> str:
    """The format that a file's name promises, "" when it promises none."""
    return _WANTED.get(extension(name), "")


def known_extension(name: str) -> bool:
    """Whether the extension is a usual one, or one by which programs mark older versions; a name without one counts as usual."""
    found = extension(name)
    return not found or found in _KNOWN or _OLD.fullmatch(found) is not None or found.endswith("~")


class Sample(Record):
    """What some slices of one file show.

    `opaque` of `slices` look like random bytes, `blank` hold one value alone; `broken` when the content is not what its beginning says.
    """

    format: str = ""
    slices: int = 0
    opaque: int = 0
    blank: int = 0
    head_opaque: bool = False
    broken: bool = False
    sealed: bool = False


def sample(head: bytes, middle: list[bytes], tail: bytes) -> Sample:
    """Look at the first slice of a file, some of its middle, and its last slice (b"" where the file is one slice alone)."""
    format = format_of(head)
    parts = [part for part in (head, *middle, tail) if len(part) >= LEAST]
    kinds = [(_distinct(part), len(part)) for part in parts]
    return Sample(
        format=format,
        slices=len(parts),
        opaque=sum(_opaque(count, size) for count, size in kinds),
        blank=sum(count == 1 for count, _ in kinds),
        head_opaque=len(head) >= LEAST and _opaque(_distinct(head), len(head)),
        broken=_broken(format, middle, tail),
        sealed=sealed(head, tail),
    )


def begins_random(head: bytes) -> bool:
    """Whether content seems to begin with random bytes, and as none of the formats that look so; a quick look at 256 bytes."""
    return len(head) >= LEAST and _distinct(head[:LEAST]) >= _QUICK and format_of(head) not in COMPRESSED


def _distinct(part: bytes) -> int:
    return len(set(part))


def _opaque(distinct: int, size: int) -> bool:
    """Random bytes show nearly as many values as chance gives: 221 of 256 in 512 bytes; text shows 50 to 90, programs 100 to 170."""
    return distinct >= 0.92 * 256 * (1 - (255 / 256) ** size)


def _broken(format: str, middle: list[bytes], tail: bytes) -> bool:
    if format == "jpeg":
        return _no_jpeg(middle)
    if format in _ENDS and len(tail) >= LEAST:
        mark, within = _ENDS[format]
        return mark not in tail[-within:] and _opaque(_distinct(tail), len(tail))
    return False


def _no_jpeg(middle: list[bytes]) -> bool:
    """Within a JPEG's data a byte FF is followed by 00 or by a marker D0 to D9; chance makes it 11 times in 256."""
    all_ff, proper = 0, 0
    for part in middle:
        at = part.find(b"\xff")
        while 0 <= at < len(part) - 1:
            all_ff += 1
            proper += part[at + 1] == 0 or 0xD0 <= part[at + 1] <= 0xD9
            at = part.find(b"\xff", at + 1)
    return all_ff >= 6 and proper < 0.5 * all_ff
