"""The SFTP store on a real sshd: normal, chrooted, without links, and write-once."""

import secrets
from collections.abc import Iterator

import pytest

from actions.backup.stores.sftp import SftpStore
from actions.backup.stores.store import Store
from tests.actions.backup.stores.conformance import Conformance
from tests.actions.backup.stores.sshd import Sshd, chrooted, normal


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with normal() as running:
        yield running


@pytest.fixture(scope="module")
def cage() -> Iterator[Sshd]:
    with chrooted() as running:
        yield running


@pytest.fixture(scope="module")
def without_links() -> Iterator[Sshd]:
    with chrooted(force="internal-sftp -P hardlink") as running:
        yield running


class TestSftpStore(Conformance):
    @pytest.fixture
    def store(self, server: Sshd) -> Iterator[Store]:
        store = SftpStore(server.target())
        yield store
        store.close()


class TestChrootedSftpStore(Conformance):
    @pytest.fixture
    def store(self, cage: Sshd) -> Iterator[Store]:
        store = SftpStore(cage.target(f"/repositories/{secrets.token_hex(4)}"))
        yield store
        store.close()


class TestSftpStoreWithoutLinks(Conformance):
    @pytest.fixture
    def store(self, without_links: Sshd) -> Iterator[Store]:
        store = SftpStore(without_links.target(f"/repositories/{secrets.token_hex(4)}"))
        yield store
        store.close()
