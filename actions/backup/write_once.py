"""What the owner of a server does so that it becomes a write-once target: every step as text, with the words of this host filled in.

A write-once target takes new files and gives them out, and nothing else: with the keys of the host, nobody overwrites, truncates,
renames or removes what is there. Two halves make it so: the requests that are refused (`-P`), and the umask (`-u 0277`) that leaves no file
writable to its own user, because opening for writing cannot be refused without refusing new files, too.
"""

import re
import shlex
from dataclasses import dataclass

from actions.backup.stores.local import FOLDERS
from contracts.errors import UsageError

REFUSED = "remove,rename,posix-rename,rmdir,setstat,fsetstat,lsetstat,symlink,copy-data"
"""SFTP requests that change or take away what is there. `hardlink` stays: it publishes, and never onto an existing name."""

UMASK = "0277"
TMP = "tmp"
KEYS = "/etc/ssh/holdfast-keys"


_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+/?")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]+( [\w.@-]+)*")


@dataclass(frozen=True, slots=True)
class WriteOnce:
    """One target to be: `account` is made for one host alone, `base` is the folder it is locked into, `public_key` the host's SSH key."""

    account: str
    base: str
    public_key: str
    repository: str = "repository"

    def check(self) -> None:
        """UsageError for words that have no place in commands that root pastes."""
        for pattern, value, what, would_do in (
            (_ACCOUNT, self.account, "account", "small letters, digits, - and _"),
            (_PATH, self.base, "folder", "an absolute path of letters, digits, -, _ and ."),
            (_WORD, self.repository, "repository", "the name of a folder"),
            (_KEY, self.public_key.strip(), "public key", "one line of the type ssh-ed25519"),
        ):
            if not pattern.fullmatch(value) or ".." in value:
                raise UsageError(f'"{value}" cannot be the {what} of a target', advice=f"give {would_do}")


def server_side(target: WriteOnce) -> str:
    """Commands and configuration for the server, to be read and run there by root."""
    block = sshd_block(target)
    account, base, repository = target.account, target.base.rstrip("/"), target.repository
    folders = " ".join(sorted({*FOLDERS.values(), TMP}))
    return f"""# On the backup server, as root (OpenSSH 9.0 or newer). One account for one host.

# 1. An account that can do nothing but SFTP, and whose key lies where the account cannot change it.
useradd --system --user-group --shell /usr/sbin/nologin --home-dir / --no-create-home --password '*' {account}
install -d -m 0755 -o root -g root {KEYS}
cat > {KEYS}/{account} <<'KEY'
restrict {target.public_key.strip()}
KEY
chmod 0644 {KEYS}/{account}

# 2. The folders, made beforehand: with the umask below the account could make none that it may write to.
#    Every folder above {base} must be root's and not writable by others, or sshd refuses the chroot.
install -d -m 0755 -o root -g root {base}
install -d -m 0700 -o {account} -g {account} {base}/{repository}
cd {base}/{repository}
install -d -m 0700 -o {account} -g {account} {folders}
for i in $(seq 0 255); do install -d -m 0700 -o {account} -g {account} data/$(printf %02x $i); done
cd /

# 3. What the account may do.
cat > /etc/ssh/sshd_config.d/holdfast-{account}.conf <<'SSHD'
{block}
SSHD
sshd -t && systemctl reload ssh

# 4. Once a day: temporary names of finished files are second names of them, which the account cannot remove.
cat > /etc/cron.daily/holdfast-{account} <<'CRON'
#!/bin/sh
find {base}/{repository}/{TMP} -type f -name '*-tmp-*' -mmin +2880 -delete
CRON
chmod 0755 /etc/cron.daily/holdfast-{account}

# 5. The key of this server: read it out, and compare it with what is pinned on the host.
ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
"""


def sshd_block(target: WriteOnce) -> str:
    """The Match block of sshd_config(5); UsageError for words that cannot stand there."""
    target.check()
    return f"""Match User {target.account}
    AuthorizedKeysFile {KEYS}/%u
    AuthenticationMethods publickey
    ChrootDirectory {target.base.rstrip("/")}
    ForceCommand internal-sftp -P {REFUSED} -u {UMASK}
    DisableForwarding yes
    PermitTTY no
    PermitTunnel no
    PermitUserRC no
Match all"""


def restore_commands(target: WriteOnce, host: str, port: int = 22) -> str:
    """How everything comes back on a bare machine with nothing but the stock restic."""
    target.check()
    place = shlex.quote(f"sftp://{target.account}@{host}:{port}//{target.repository}")
    restic = f"restic --no-lock --no-cache -r {place}"
    return f"""# On any machine with restic and an SSH key that the server takes
# (`sftp -P {port} {target.account}@{host}` must not ask for a password).
# --no-lock: a lock could be written there, but never be removed again.
{restic} snapshots
{restic} check
{restic} restore latest --target /mnt/restored

# On the server itself no SSH is needed, and nothing is refused to root:
restic --no-lock --no-cache -r {target.base.rstrip("/")}/{target.repository} snapshots
"""
