"""What accounts for a change of a file: a signed package, a package's own list, a maintainer script's product, or nothing."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from contracts.record import Record
from contracts.trees import Node

QUESTION = "which package accounts for a change"
"""What is asked here, as coverage names it where it cannot be answered."""


class Level(StrEnum):
    """How well a change is accounted for, the best first."""

    SIGNED = "signed"
    """It is, byte for byte, what a package ships whose archive a signed index names."""
    DERIVED = "derived"
    """It follows from what signed packages ship: made anew or checked entry by entry, and found the same."""
    REMOVED = "removed"
    """A package that held it was removed, or no longer ships it."""
    RECORDED = "recorded"
    """As the record of pip or npm tells; nobody signed it."""
    LISTED = "listed"
    """As the package's own list says, which whoever changes the file can change, too."""
    PRODUCT = "product"
    """Such files are what a maintainer script or trigger of the transaction writes; whether it wrote this one cannot be told."""
    NONE = "none"
    """Nothing accounts for it."""


PROVED = frozenset({Level.SIGNED, Level.DERIVED, Level.REMOVED})
"""Levels that need no word of caution in a transaction's event."""


NAMES = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}
"""Digests as people write them, by their names for `hashlib`."""
WEAK = frozenset({"md5", "sha1"})
"""Digests (names for `hashlib`) that two contents can be made to share: equal ones prove nothing."""


class Provenance(Record):
    """What accounts for one change.

    `basis` is a sentence for people. `package` and `version` are those that ship it, `transaction` the id of the run that brought it, ""
    for none. `contradicts` when a signed package ships something else under that name: the strongest sign of tampering there is.
    """

    level: Level = Level.NONE
    basis: str = ""
    package: str = ""
    version: str = ""
    transaction: str = ""
    contradicts: bool = False


class PackageChange(Record):
    """What a run did to one package: `deed` is install, upgrade, downgrade, reinstall, remove or purge; a version is "" for none."""

    name: str
    deed: str
    before: str = ""
    after: str = ""
    architecture: str = ""


class Transaction(Record):
    """One run of apt, dpkg, dnf, rpm, pip or npm. Times are Unix ms; `ended_ms` 0 while it runs; `who` as its own log says.

    `unfinished` says why it did not come to its end, "" for one that did. `told`: its event was made; what is found later is more of it.
    """

    id: str
    tool: str
    started_ms: int
    ended_ms: int = 0
    command: str = ""
    who: str = ""
    packages: tuple[PackageChange, ...] = ()
    unfinished: str = ""
    told: bool = False


class Shipped(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One name that an archive holds.

    `mode` as in `Node`; `owner` and `group` by name, "" where the archive has numbers only; times in seconds; `content` SHA-256 of a
    regular file, `target` of a symbolic link; `capabilities` as the kernel's attribute has them.
    """

    path: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    owner: str = ""
    group: str = ""
    size: int = 0
    mtime: int = 0
    content: bytes = b""
    target: bytes = b""
    capabilities: bytes = b""


class Shipment(msgspec.Struct, frozen=True, gc=False):
    """What one known archive ships under a name. `signed_by` is the fingerprint of the key behind it, "" when nothing signs it."""

    file: Shipped
    package: str
    version: str
    architecture: str
    signed_by: str = ""
    installed: bool = False


class Listing(msgspec.Struct, frozen=True, gc=False):
    """What a package database lists under a name: the package, and the digest it states ("" for none) by `algorithm`.

    `signed` when the list itself is under a good signature of a trusted key, as an rpm's header is.
    """

    package: str
    digest: str = ""
    algorithm: str = "md5"
    config: bool = False
    signed: bool = False


class Knowledge(Protocol):
    """What the judgement asks of the package databases and of the present files. Paths are raw bytes."""

    transactions: Sequence[Transaction]
    """What ran since the files were last judged, oldest first; among them what was told already, of which there may be more to find."""

    def shipped(self, path: bytes) -> Sequence[Shipment]:
        """Return what known archives ship under that name, diversions and merged folders seen through; the installed ones first."""

    def listed(self, path: bytes) -> Sequence[Listing]:
        """Return what the package databases list under that name now."""

    def former(self, path: bytes) -> Sequence[str]:
        """Return the packages that listed the name when the files were last judged."""

    def scripts(self, package: str) -> str:
        """Return the maintainer scripts of a package's installed or last version out of a signed archive, "" when not known."""

    def copies(self, content: bytes, packages: frozenset[str]) -> str:
        """Return one path under which a signed archive of the packages ships this very content (SHA-256), "" for none."""

    def account(self, owner: str, group: str) -> tuple[int | None, int | None]:
        """Return the numbers of a user and a group by name, None for one that there is not."""

    def digest(self, path: bytes, algorithm: str) -> str:
        """Return the hex digest of the file as it is now, "" when it cannot be read."""

    def read(self, path: bytes, max_bytes: int) -> bytes | None:
        """Return the present content of a regular file, None when it cannot be read or is longer."""

    def node(self, path: bytes) -> Node | None:
        """Return what stands at a name now, None for nothing."""

    def names(self, folder: bytes) -> Sequence[bytes]:
        """Return the names in a folder, none where it cannot be listed."""
