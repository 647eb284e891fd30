"""Proof that can fail: one pack corrupted, one file missing from the snapshot, one dump emptied; the next proof fails and names it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

from actions.backup.blobs import BlobType
from actions.backup.databases.saving import snapshot_source
from actions.backup.databases.source import Listing
from actions.backup.ids import id_of
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from host.linux import LinuxHost
from tests.actions.backup.databases.test_saving import Made, dump
from tests.agent.test_backup_end_to_end import Home, folder, home, states

__all__ = ["folder", "home"]


@pytest.fixture
def proved(home: Home) -> Iterator[Home]:
    """A job of files and an SQLite database that ran and was proved in every part."""
    with sqlite3.connect(home.folder / "shop.db") as db:
        db.execute("CREATE TABLE orders (id INTEGER)")
        db.executemany("INSERT INTO orders VALUES (?)", [(number,) for number in range(700)])
    db.close()
    home.configure(more=f", databases: {{sqlite: [{{name: shop, paths: [{home.folder}/shop.db]}}]}}")
    home.here("init")
    home.agent.start()
    home.here("run")
    home.agent.event("backup.database_proved", 30)
    home.agent.until(lambda: states(home).get("system") == "ok", 30)
    assert "NOT" not in home.here("prove").stdout
    yield home


def failed(home: Home, kind: str) -> dict[str, Any]:
    """Ask for a proof, which has to fail; the fields of the event of `kind` that says so."""
    before = len([each for each in home.agent.kinds() if each == kind])
    home.here("prove", code=1)
    home.agent.until(lambda: len([each for each in home.agent.kinds() if each == kind]) > before, 30)
    fields: dict[str, Any] = home.agent.event(kind, 30)["fields"]
    return fields


def opened(home: Home) -> Repository:
    repository = Repository.open(LocalStore(home.repository), (home.folder / "keys" / "system").read_text().strip())
    repository.load_index()
    return repository


def test_one_pack_is_corrupted(proved: Home) -> None:
    place = opened(proved).index.find(BlobType.DATA, id_of(b"dear all"))[0]
    name = place.pack.hex()
    pack = proved.repository / "data" / name[:2] / name
    data = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(data[: place.offset] + bytes([data[place.offset] ^ 1]) + data[place.offset + 1 :])
    fields = failed(proved, "backup.not_proved")
    assert any("letter" in path and f"data/{name}" in path for path in fields["paths"]), fields
    proved.agent.until(lambda: states(proved)["system"] == "failing", 30)
    pack.write_bytes(data)
    proved.here("prove")
    proved.agent.until(lambda: states(proved)["system"] == "ok", 30)


def test_one_file_is_missing_from_the_snapshot(proved: Home) -> None:
    words = ["backup", "--host", gethostname(), "--tag", "system", "--exclude", "letter", "--exclude", "*.o"]
    proved.restic(*words, proved.source)
    fields = failed(proved, "backup.not_proved")
    (path,) = fields["paths"]
    assert path.startswith(f"{proved.source}/letter: is not in the snapshot"), fields
    proved.agent.until(lambda: states(proved)["system"] == "failing", 30)


def test_one_dump_is_emptied(proved: Home) -> None:
    repository = opened(proved)
    own = [pair for pair in repository.snapshots() if pair[1].paths == ["/databases/shop"]]
    _, snapshot = max(own, key=lambda pair: pair[1].time_ns)
    name, tree = b"", snapshot.tree
    while True:  # the one dump lies below folders of its own
        (entry,) = repository.load_tree(bytes.fromhex(tree))
        if entry[1].subtree is None:
            break
        name, tree = name + b"/" + entry[0], entry[1].subtree
    file = (name + b"/" + entry[0]).removeprefix(b"/databases/shop/")
    empty = Made(Listing([dump(file, b"")]), "shop")
    empty.product = "sqlite"
    with repository.lock():
        snapshot_source(LinuxHost(), repository, empty, hostname=gethostname(), tags=["system"])
    fields = failed(proved, "backup.database_not_proved")
    assert fields["database"] == "shop"
    assert Path(str(proved.folder / "shop.db")).name in fields["detail"], fields
    proved.agent.until(lambda: states(proved)["system"] == "failing", 30)
    row = proved.agent.ask("subject", subject="backup")["rows"]["system"]
    assert row["detail"].startswith("the database shop does not restore"), row
