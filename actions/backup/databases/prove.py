"""Proving the dumps of a snapshot: each restored into a throw-away instance of its product, its rows counted, questions answered.

One instance serves all dumps of a source, so that roles, users and databases must fit together as after a disaster.
"""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from actions.backup.databases.mysql import USERS
from actions.backup.databases.options import ProveOptions, ProveQuery
from actions.backup.databases.postgresql import GLOBALS
from actions.backup.databases.prove_mysql import throwaway_mysql
from actions.backup.databases.prove_postgresql import throwaway_postgresql
from actions.backup.databases.prove_redis import throwaway_redis
from actions.backup.databases.prove_sqlite import restored_sqlite
from actions.backup.databases.saving import FOLDER, PARTIAL, PRODUCT_TAG, TAG
from actions.backup.databases.throwaway import ProofFailed
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.restorer import find_tree
from actions.backup.snapshot import Snapshot
from actions.backup.stream import load_stream
from contracts.errors import HoldfastError
from contracts.host import Host

PRODUCTS = ("postgresql", "mysql", "sqlite", "redis", "command")


@dataclass(slots=True)
class Proved:
    """What one dump gave back: the database it became, rows (or keys, or bytes) by table, and answers by question."""

    file: bytes
    database: str
    counts: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True)
class ProofReport:
    """What came of a source: `failed` says what did not restore or not answer as it should."""

    name: str
    product: str
    proved: list[Proved] = field(default_factory=list)
    failed: list[HoldfastError] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether every dump of the source is proved."""
        return bool(self.proved) and not self.failed

    def compare(self, held: Mapping[str, int], may_be_empty: Container[str]) -> dict[str, int]:
        """Fail what restores to nothing and held something when it was proved last; returns what each dump holds, by `SOURCE/FILE`.

        An empty file is a sound SQLite database, and a dump without rows a sound dump: only what it was before tells that it was emptied.
        """
        now: dict[str, int] = {}
        for one in self.proved:
            name = f"{self.name}/{one.file.decode('utf-8', 'replace')}"
            now[name] = sum(one.counts.values())
            before = held.get(name, 0)
            if not now[name] and before and self.name not in may_be_empty:
                now[name] = before
                self.failed.append(
                    ProofFailed(
                        name,
                        f"it holds nothing, and held {before} (rows, keys or bytes) when it was proved last",
                        advice="if that is right, name the source in proof.databases.may_be_empty",
                    )
                )
        return now

    def raise_for_failure(self) -> None:
        """ProofFailed, naming what failed, unless nothing did."""
        if self.failed:
            words = "; ".join(error.message for error in self.failed[:5])
            raise ProofFailed(f"{self.product} {self.name}", f"{len(self.failed)} proofs failed: {words}")


_File = tuple[bytes, Node]


def prove_source(host: Host, repository: Repository, snapshot: Snapshot, options: ProveOptions) -> ProofReport:
    """Restore and question everything in a snapshot that `saving.snapshot_source` made. The index is loaded.

    ProofFailed when the snapshot is not one of those; what fails later is in the report, and so is what is missing from an incomplete one.
    """
    name, product = _what_it_is(snapshot)
    report = ProofReport(name, product)
    began = time.monotonic()
    if PARTIAL in snapshot.tags:
        report.failed.append(ProofFailed(name, "the snapshot is incomplete: some of its dumps failed"))
    try:
        tree = find_tree(repository, snapshot.tree, FOLDER + b"/" + name.encode())
        files = list(_files(repository, tree, b""))
        if not files:
            raise ProofFailed(name, "the snapshot holds nothing of it")
        _PROVE[product](_Proof(host, repository, options, report), files)
        asked = {query.sql for one in report.proved for query in _questions(options, name, one.database)}
        for query in options.queries:
            if query.source == name and query.sql not in asked and not report.failed:
                report.failed.append(
                    ProofFailed(f"{name}/{query.database}", "no dump became that database, so it was not asked")
                )
    except HoldfastError as error:
        report.failed.append(error)
    report.seconds = time.monotonic() - began
    return report


@dataclass(slots=True)
class _Proof:
    host: Host
    repository: Repository
    options: ProveOptions
    report: ProofReport

    def pieces(self, node: Node) -> Iterator[bytes]:
        """The content of a dump."""
        return load_stream(self.repository, node)

    def one(self, file: bytes, restore: Callable[[], Proved], ask: Callable[[str, str], str]) -> None:
        """Restore one dump and ask its questions; what fails is noted."""
        began = time.monotonic()
        try:
            proved = restore()
            for query in _questions(self.options, self.report.name, proved.database):
                said = ask(proved.database, query.sql)
                proved.answers[query.sql] = said
                if query.expect is not None and said.rstrip("\n") != query.expect.rstrip("\n"):
                    raise ProofFailed(
                        proved.database, f"{query.sql!r} answers {said[:80]!r}, not {query.expect[:80]!r}"
                    )
        except HoldfastError as error:
            what = f"{self.report.name}/{file.decode('utf-8', 'replace')}"
            failed = ProofFailed(what, error.message, advice=error.advice)
            failed.__cause__ = error
            self.report.failed.append(failed)
            return
        proved.seconds = time.monotonic() - began
        self.report.proved.append(proved)


def _postgresql(proof: _Proof, files: list[_File]) -> None:
    with throwaway_postgresql(proof.host, proof.options) as instance:
        for file, node in sorted(files, key=lambda one: one[0] != GLOBALS):

            def restore(file: bytes = file, node: Node = node) -> Proved:
                if file == GLOBALS:
                    instance.restore_globals(proof.pieces(node))
                    return Proved(file, "", {"roles": int(instance.ask("postgres", "SELECT count(*) FROM pg_roles"))})
                database = instance.restore(proof.pieces(node))
                return Proved(file, database, instance.counts(database))

            proof.one(file, restore, instance.ask)


def _mysql(proof: _Proof, files: list[_File]) -> None:
    with throwaway_mysql(proof.host, proof.options) as instance:
        for file, node in sorted(files, key=lambda one: one[0] == USERS):

            def restore(file: bytes = file, node: Node = node) -> Proved:
                if file == USERS:
                    return Proved(file, "", {"users": instance.restore_users(proof.pieces(node))})
                made = instance.restore(proof.pieces(node))
                if len(made) != 1:
                    raise ProofFailed("the dump", f"it makes {len(made)} databases, one was expected")
                return Proved(file, made[0], instance.counts(made[0]))

            proof.one(file, restore, instance.ask)


def _redis(proof: _Proof, files: list[_File]) -> None:
    for file, node in files:
        with throwaway_redis(proof.host, proof.options, proof.pieces(node)) as instance:
            proof.one(
                file,
                lambda file=file, instance=instance: Proved(file, "", instance.counts()),  # type: ignore[misc]
                lambda _, sql, instance=instance: instance.ask(sql),  # type: ignore[misc]
            )


def _sqlite(proof: _Proof, files: list[_File]) -> None:
    for file, node in files:
        path = "/" + file.decode("utf-8", "surrogateescape")
        try:
            with restored_sqlite(proof.options, proof.pieces(node)) as instance:
                proof.one(
                    file,
                    lambda file=file, path=path, instance=instance: Proved(file, path, instance.counts()),  # type: ignore[misc]
                    lambda _, sql, instance=instance: instance.ask(sql),  # type: ignore[misc]
                )
        except HoldfastError as error:
            proof.report.failed.append(ProofFailed(path, error.message, advice=error.advice))


def _command(proof: _Proof, files: list[_File]) -> None:
    """Nobody knows what the output of a command is good for: it is read whole."""
    for file, node in files:

        def restore(file: bytes = file, node: Node = node) -> Proved:
            size = sum(map(len, proof.pieces(node)))
            if size != node.size:
                raise ProofFailed("the file", f"it has {size} bytes, {node.size} were saved")
            return Proved(file, "", {"bytes": size})

        proof.one(file, restore, lambda *_: "")


_PROVE: dict[str, Callable[[_Proof, list[_File]], None]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
    "redis": _redis,
    "command": _command,
}


def _what_it_is(snapshot: Snapshot) -> tuple[str, str]:
    """The name of the source and its product."""
    names = {path.split("/")[2] for path in snapshot.paths if path.startswith("/databases/") and path.count("/") >= 2}
    products = [tag.removeprefix(PRODUCT_TAG) for tag in snapshot.tags if tag.startswith(PRODUCT_TAG)]
    if len(names) != 1 or len(products) != 1 or products[0] not in PRODUCTS or TAG not in snapshot.tags:
        raise ProofFailed("the snapshot", "it is not one of a database")
    return names.pop(), products[0]


def _files(repository: Repository, tree: str, path: bytes) -> Iterator[_File]:
    for name, node in repository.load_tree(bytes.fromhex(tree)):
        below = path + b"/" + name if path else name
        if node.type == "dir" and node.subtree is not None:
            yield from _files(repository, node.subtree, below)
        elif node.type == "file":
            yield below, node


def _questions(options: ProveOptions, name: str, database: str) -> Iterable[ProveQuery]:
    return [one for one in options.queries if one.source == name and one.database == database]
