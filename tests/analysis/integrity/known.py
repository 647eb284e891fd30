"""A made-up machine for the judgement: files, what archives ship, what lists say, and runs of apt."""

import hashlib
from collections.abc import Sequence

from contracts.file_change import CREATED, DELETED, MODIFIED, Change
from contracts.provenance import Listing, PackageChange, Shipment, Shipped, Transaction
from contracts.trees import Node

KEY = "A" * 40
RUN = Transaction(
    id="apt-1",
    tool="apt",
    started_ms=1000,
    ended_ms=2000,
    packages=(PackageChange(name="tool", deed="upgrade", before="1.0-1", after="1.0-2"),),
)
AT_NS = 1500 * 1_000_000


def sha(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def node(content: bytes = b"", mode: int = 0o100755, target: bytes = b"", **fields) -> Node:
    given = {"uid": 0, "gid": 0, "ctime_ns": AT_NS, "mtime_ns": AT_NS, "capabilities": b"", **fields}
    held = sha(content) if mode & 0o170000 == 0o100000 else b""
    return Node(b"x", mode, given["uid"], given["gid"], 1, len(content), given["mtime_ns"], given["ctime_ns"], 1, 1,
                target=target, capabilities=given["capabilities"], content=held)  # fmt: skip


def change(path: bytes, after: Node | None, before: Node | None = None, *kinds: str, **fields) -> Change:
    default = (DELETED,) if after is None else (MODIFIED,) if before is not None else (CREATED,)
    return Change(path=path, kinds=kinds or default, before=before, after=after, **fields)


class Known:
    """Implements `contracts.provenance.Knowledge` from dictionaries."""

    def __init__(self, *runs: Transaction) -> None:
        self.transactions: Sequence[Transaction] = runs or (RUN,)
        self.shipments: dict[bytes, list[Shipment]] = {}
        self.lists: dict[bytes, list[Listing]] = {}
        self.before: dict[bytes, list[str]] = {}
        self.texts: dict[str, str] = {}
        self.files: dict[bytes, bytes] = {}
        self.nodes: dict[bytes, Node] = {}
        self.accounts: dict[str, int] = {"root": 0}

    def ships(self, path: bytes, content: bytes = b"", mode: int = 0o100755, package: str = "tool", **fields) -> None:
        told = {
            "signed_by": KEY,
            "installed": True,
            "version": "1.0-2",
            "target": b"",
            "owner": "root",
            "group": "root",
        }
        told |= fields
        held = sha(content) if mode & 0o170000 == 0o100000 else b""
        file = Shipped(path, mode, owner=told["owner"], group=told["group"], content=held, target=told["target"])
        one = Shipment(file, package, told["version"], "all", told["signed_by"], told["installed"])
        self.shipments.setdefault(path, []).append(one)

    def has(self, path: bytes, content: bytes = b"", **fields) -> None:
        self.files[path] = content
        self.nodes[path] = node(content, **fields)

    def shipped(self, path: bytes) -> Sequence[Shipment]:
        return self.shipments.get(path, [])

    def listed(self, path: bytes) -> Sequence[Listing]:
        return self.lists.get(path, [])

    def former(self, path: bytes) -> Sequence[str]:
        return self.before.get(path, [])

    def scripts(self, package: str) -> str:
        return self.texts.get(package, "")

    def copies(self, content: bytes, packages: frozenset[str]) -> str:
        for path, held in self.shipments.items():
            if any(one.file.content == content and one.package in packages for one in held):
                return path.decode()
        return ""

    def account(self, owner: str, group: str) -> tuple[int | None, int | None]:
        return self.accounts.get(owner), self.accounts.get(group)

    def digest(self, path: bytes, algorithm: str) -> str:
        content = self.files.get(path)
        return hashlib.new(algorithm, content).hexdigest() if content is not None else ""

    def read(self, path: bytes, max_bytes: int) -> bytes | None:
        content = self.files.get(path)
        return content if content is not None and len(content) <= max_bytes else None

    def node(self, path: bytes) -> Node | None:
        return self.nodes.get(path)

    def names(self, folder: bytes) -> Sequence[bytes]:
        return [path.rpartition(b"/")[2] for path in self.nodes if path.rpartition(b"/")[0] == folder]
