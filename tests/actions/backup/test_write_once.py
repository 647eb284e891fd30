"""What is printed for the owner of a server is carried out to the letter in a world of its own, and then attacked."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.backup.crypto import ScryptParameters
from actions.backup.replicate import replicate_to
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.target_attack import State, attack
from actions.backup.write_once import WriteOnce, restore_commands, server_side, sshd_block
from tests.actions.backup.conftest import PASSWORD
from tests.actions.backup.stores.sshd import CONFIG, Sshd, own_folder

WORLD = """
set -e
mount --make-rprivate /
mkdir {folder}/upper {folder}/work
mount -t overlay -o lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work overlay /etc
sh -e {folder}/setup.sh > {folder}/said
exec /usr/sbin/sshd -D -e -f {folder}/sshd_config
"""
"""A mount namespace whose /etc is written to without anybody else noticing."""


class Printed(Sshd):
    """A server set up by what `server_side` prints."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / "base", user="web-1")
        self.to_be = WriteOnce("web-1", str(folder / "base"), (folder / "client_key.pub").read_text())
        text = server_side(self.to_be)
        assert "sshd -t && systemctl reload ssh" in text
        (folder / "setup.sh").write_text(
            text.replace("sshd -t && systemctl reload ssh", "/usr/sbin/sshd -t").replace(
                "/etc/ssh/ssh_host_ed25519_key.pub", f"{folder}/host_key.pub"
            )
        )
        lines = CONFIG.format(port=self.port, folder=folder, more="")
        kept = [line for line in lines.splitlines() if not line.startswith(("AuthorizedKeysFile", "StrictModes"))]
        self.config.write_text("\n".join([*kept, "Include /etc/ssh/sshd_config.d/holdfast-*.conf"]) + "\n")
        (folder / "world.sh").write_text(WORLD.format(folder=folder))
        self.command = ["unshare", "--mount", "sh", str(folder / "world.sh")]


@pytest.fixture(scope="module")
def server() -> Iterator[Printed]:
    with own_folder() as folder:
        server = Printed(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(tmp_path_factory.mktemp("source") / "repository")
    Repository.create(store, PASSWORD, cost=ScryptParameters(1024, 8, 1))
    return store


def test_what_is_printed_makes_a_target_that_takes_copies_and_withstands_every_attack(
    server: Printed, source: LocalStore
) -> None:
    target = server.target("/repository")
    done = replicate_to(source, target)
    assert done.ok, done
    for _ in range(2):
        result = attack(target)
        assert (result.state, result.succeeded, result.why) == (State.IMMUTABLE, [], [])
        assert result.tried > 90


def test_the_key_of_the_server_is_read_out_at_the_end(server: Printed) -> None:
    assert "SHA256:" in (server.folder / "said").read_text().splitlines()[-1]


def test_the_daily_cleaning_removes_second_names_of_old_files_only(server: Printed, source: LocalStore) -> None:
    replicate_to(source, server.target("/repository"))
    cron = next((server.folder / "upper" / "cron.daily").iterdir())
    tmp = server.root / "repository" / "tmp"
    names = sorted(tmp.glob("*-tmp-*"))
    assert len(names) >= 2
    os.utime(names[0], (1, 1))
    subprocess.run(["sh", cron], check=True)
    assert sorted(tmp.glob("*-tmp-*")) == names[1:]
    assert replicate_to(source, server.target("/repository")).ok


def test_no_shell_no_forwarding_and_no_other_folder(server: Printed) -> None:
    ssh = ["ssh", "-p", str(server.port), "-i", server.folder / "client_key", "-o", "BatchMode=yes", "-l", "web-1"]
    ssh += ["-o", f"UserKnownHostsFile={server.folder / 'known_hosts'}", "127.0.0.1"]
    done = subprocess.run([*ssh, "id"], capture_output=True, text=True, timeout=60, input="", check=False)
    assert "uid=" not in done.stdout
    done = subprocess.run([*ssh, "-W", "127.0.0.1:22"], capture_output=True, text=True, timeout=60, check=False)
    assert "prohibited" in done.stderr


def test_the_restore_commands_are_those_that_work(server: Printed, source: LocalStore, tmp_path: Path) -> None:
    assert replicate_to(source, server.target("/repository")).ok
    text = restore_commands(server.to_be, "127.0.0.1", server.port)
    commands = [line for line in text.splitlines() if line.startswith("restic")]
    assert all("--no-lock" in line for line in commands)
    assert commands[0].endswith("snapshots")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / "ssh").write_text(
        f"#!/bin/sh\nexec /usr/bin/ssh -i {server.folder}/client_key -o UserKnownHostsFile={server.folder}/known_hosts"
        ' -o BatchMode=yes "$@"\n'
    )
    (home / "ssh").chmod(0o755)
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "PATH": f"{home}:{os.environ['PATH']}"}
    for command in (commands[0], commands[1], commands[3]):
        subprocess.run(["sh", "-c", command], env=environment, check=True, capture_output=True, timeout=300)


@pytest.mark.parametrize(
    "word", ["DisableForwarding yes", "PermitTTY no", "-u 0277", "AuthenticationMethods publickey"]
)
def test_the_block_holds_what_matters(word: str) -> None:
    assert word in sshd_block(WriteOnce("web-1", "/srv/backup/web-1/", "ssh-ed25519 AAAA"))


@pytest.mark.parametrize(
    "wrong",
    [
        WriteOnce("web 1", "/srv/b", "ssh-ed25519 AAAA"),
        WriteOnce("-web", "/srv/b", "ssh-ed25519 AAAA"),
        WriteOnce("web", "srv/b", "ssh-ed25519 AAAA"),
        WriteOnce("web", "/srv/b c", "ssh-ed25519 AAAA"),
        WriteOnce("web", "/srv/b", "ssh-ed25519 AAAA\nssh-ed25519 BBBB"),
        WriteOnce("web", "/srv/b", "ssh-ed25519 AAAA", "../elsewhere"),
        WriteOnce("web", "/srv/$(reboot)", "ssh-ed25519 AAAA"),
    ],
)
def test_words_that_root_should_not_paste_are_refused(wrong: WriteOnce) -> None:
    from contracts.errors import UsageError

    for make in (server_side, sshd_block):
        with pytest.raises(UsageError):
            make(wrong)
