"""What an rpm's header says of its package: name, version, the files it ships, scripts, signatures, and which run brought it. Pure.

Tags: rpm's manual, "RPM Tags"; flags of files: `lib/rpmfiles.h`. All but the run is read from the part that is signed: a package that was
relocated on installing is known by the names it was built with.
"""

import base64
import binascii
import stat

from analysis.integrity.file_capabilities import raw
from analysis.integrity.rpm_header import Header
from contracts.provenance import Shipped
from contracts.record import Record

NAME, VERSION, RELEASE, EPOCH, ARCHITECTURE = 1000, 1001, 1002, 1003, 1022
SCRIPTS = (1023, 1024, 1025, 1026, 1151, 1152, 1065, 5066, 5076, 5103, 5104)
_BASENAMES, _DIRNAMES, _DIRINDEXES, _OLD_NAMES = 1117, 1118, 1116, 1027
_SIZES, _LONG_SIZES, _MODES, _TIMES, _DIGESTS, _LINKS, _FLAGS, _OWNERS, _GROUPS = (
    1028,
    5008,
    1030,
    1034,
    1035,
    1036,
    1037,
    1039,
    1040,
)
_ALGORITHM, _CAPABILITIES = 5011, 5010
_INSTALLED_S, _RUN, _RSA, _DSA, _OPENPGP = 1008, 1128, 268, 267, 278
_CONFIG, _GHOST = 1, 1 << 6
ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3_256", 14: "sha3_512"}
"""Names for `hashlib` by OpenPGP's numbers (RFC 9580, 9.5); a header without a number means MD5."""
PUBKEY = "gpg-pubkey"
"""The name of the entries that `rpm --import` writes: keys, no packages."""


class RpmFile(Record):
    """One name that a package holds; `digest` is hex, "" where it has none, as a ghost has (which a package owns and does not bring)."""

    shipped: Shipped
    digest: str = ""
    config: bool = False
    ghost: bool = False


class RpmPackage(Record):
    """One installed package. `run` is the number of the run that brought it, like `installed_s` in Unix seconds."""

    name: str
    version: str
    architecture: str
    run: int
    installed_s: int
    algorithm: str
    signatures: tuple[bytes, ...]

    @property
    def key(self) -> str:
        """How its state is kept: name and architecture."""
        return f"{self.name}:{self.architecture}"

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, version and architecture."""
        return self.name, self.version, self.architecture


def package(header: Header) -> RpmPackage:
    """Return what a header says of its package; raises `ValueError`."""
    name, version, release = header.text(NAME), header.text(VERSION), header.text(RELEASE)
    if not name or not version:
        raise ValueError("it names no package")
    if any(len(each.split()) > 1 or each != each.strip() for each in (name, version, release)):
        raise ValueError("its name or version has white space in it")
    epoch = header.numbers(EPOCH)
    algorithm = (header.numbers(_ALGORITHM) or (1,))[0]
    return RpmPackage(
        name=name,
        version=(f"{epoch[0]}:" if epoch and epoch[0] else "") + (f"{version}-{release}" if release else version),
        architecture=header.text(ARCHITECTURE),
        run=_one(header.numbers(_RUN, added=True)),
        installed_s=_one(header.numbers(_INSTALLED_S, added=True)),
        algorithm=ALGORITHMS.get(algorithm, ""),
        signatures=_signatures(header),
    )


def scripts(header: Header) -> str:
    """Return the scripts of a package, triggers among them."""
    return "\n".join(each.decode("utf-8", "replace") for tag in SCRIPTS for each in header.strings(tag))


def files(header: Header) -> list[RpmFile]:
    """Return what a package holds; raises `ValueError` where its lists do not fit together."""
    bases, folders, places = header.strings(_BASENAMES), header.strings(_DIRNAMES), header.numbers(_DIRINDEXES)
    if not bases:
        if header.strings(_OLD_NAMES):
            raise ValueError("it names its files in the way of rpm 3")
        return []
    sizes = header.numbers(_LONG_SIZES) or header.numbers(_SIZES)
    rows = (
        places,
        header.numbers(_MODES),
        sizes,
        header.numbers(_TIMES),
        header.strings(_OWNERS),
        header.strings(_GROUPS),
        header.strings(_LINKS),
        header.strings(_DIGESTS),
        header.numbers(_FLAGS),
    )
    if any(len(row) != len(bases) for row in rows):
        raise ValueError("its lists of files are not of one length")
    capabilities = header.strings(_CAPABILITIES) or [b""] * len(bases)
    is_sha256 = (header.numbers(_ALGORITHM) or (1,))[0] == 8
    found = []
    for base, place, mode, size, time, owner, group, link, digest, flags, held in zip(
        bases, *rows, capabilities, strict=True
    ):
        if place >= len(folders) or not folders[place].startswith(b"/"):
            raise ValueError(f"a file lies in folder {place} of {len(folders)}")
        text, is_link = digest.decode("ascii", "replace"), stat.S_ISLNK(mode)
        shipped = Shipped(
            path=folders[place] + base,
            mode=mode,
            owner=owner.decode("utf-8", "replace"),
            group=group.decode("utf-8", "replace"),
            size=size,
            mtime=time,
            content=_content(text) if is_sha256 and stat.S_ISREG(mode) else b"",
            target=link if is_link else b"",
            capabilities=raw(held.decode("ascii", "replace")),
        )
        found.append(RpmFile(shipped=shipped, digest=text, config=bool(flags & _CONFIG), ghost=bool(flags & _GHOST)))
    return found


def _content(digest: str) -> bytes:
    try:
        found = bytes.fromhex(digest)
    except ValueError as error:
        raise ValueError("a digest is no hexadecimal number") from error
    if len(found) not in (0, 32):
        raise ValueError(f"a SHA-256 of {len(found)} bytes")
    return found


def _signatures(header: Header) -> tuple[bytes, ...]:
    """Return the signatures of the header: RSA's and the others' of rpm 4, and rpm 6's list; they are added, not in the region."""
    found = [header.binary(tag, added=True) for tag in (_RSA, _DSA)]
    for text in header.strings(_OPENPGP, added=True):
        try:
            found.append(base64.b64decode(text, validate=True))
        except binascii.Error as error:
            raise ValueError("a signature is no base64") from error
    return tuple(each for each in dict.fromkeys(found) if each)


def _one(values: tuple[int, ...]) -> int:
    return values[0] if values else 0
