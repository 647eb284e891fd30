"""Which store a place means, in restic's words."""

import pytest

from actions.backup.options import SshOptions
from actions.backup.places import open_place, sftp_target
from actions.backup.stores.local import LocalStore
from contracts.errors import UsageError

SSH = SshOptions(key_file="/k", known_hosts="/h", connections=2)


@pytest.mark.parametrize(
    ("location", "user", "host", "port", "path"),
    [
        ("sftp://web1@backup.example.org/repository", "web1", "backup.example.org", 22, "repository"),
        ("sftp://web1@backup.example.org//srv/web1", "web1", "backup.example.org", 22, "/srv/web1"),
        ("sftp://u@10.0.0.1:2222//r", "u", "10.0.0.1", 2222, "/r"),
        ("sftp://u@[2001:db8::1]:2222/r", "u", "2001:db8::1", 2222, "r"),
        ("sftp:u@host:/srv/r", "u", "host", 22, "/srv/r"),
        ("sftp:u@host:r", "u", "host", 22, "r"),
    ],
)
def test_sftp_places(location: str, user: str, host: str, port: int, path: str) -> None:
    target = sftp_target(location, SSH)
    assert (target.user, target.host, target.port, target.path) == (user, host, port, path)
    assert (target.key_file, target.known_hosts, target.connections) == ("/k", "/h", 2)


def test_an_absolute_path_is_a_directory_here() -> None:
    assert isinstance(open_place("/srv/backup"), LocalStore)


@pytest.mark.parametrize(
    "location",
    ["", "relative", "s3:bucket", "sftp://host/path", "sftp://u@host", "sftp://u@host:99999/r", "sftp://u@host:0/r"],
)
def test_what_is_no_place_is_refused_in_a_sentence(location: str) -> None:
    with pytest.raises(UsageError, match="is not a place"):
        open_place(location)
