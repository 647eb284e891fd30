"""What the owner of a server does so that it becomes a write-once target: every step as text, with the words of this host filled in.

A write-once target takes new files and gives them out, and nothing else: with the keys of the host, nobody overwrites, truncates,
renames or removes what is there. Two halves make it so: the requests that are refused (`-P`), and the umask (`-u 0277`) that leaves no file
writable to its own user, because opening for writing cannot be refused without refusing new files, too.
"""

import shlex
from dataclasses import dataclass

from actions.backup.stores.local import FOLDERS

REFUSED = "remove,rename,posix-rename,rmdir,setstat,fsetstat,lsetstat,symlink,copy-data"
"""SFTP requests that change or take away what is there. `hardlink` stays: it publishes, and never onto an existing name."""

UMASK = "0277"
TMP = "tmp"


@dataclass(frozen=True, slots=True)
class WriteOnce:
    """One target to be: `account` is made for one host alone, `base` is the folder it is locked into, `public_key` the host's SSH key."""

    account: str
    base: str
    public_key: str
    repository: str = "repository"


def server_side(target: WriteOnce) -> str:
    """Commands and configuration for the server, to be read and run there by root."""
    account, base = shlex.quote(target.account), shlex.quote(target.base.rstrip("/"))
    folders = " ".join(sorted({*FOLDERS.values(), TMP}))
    return f"""# On the backup server, as root (OpenSSH 9.0 or newer). One account for one host.

# 1. An account that can do nothing but SFTP, and whose key lies where the account cannot change it.
useradd --system --shell /usr/sbin/nologin --home-dir / --no-create-home {account}
install -d -m 0755 -o root -g root /etc/ssh/holdfast-keys
cat > /etc/ssh/holdfast-keys/{account} <<'KEY'
restrict {target.public_key.strip()}
KEY

# 2. The folders, made beforehand: with the umask below the account could make none that it may write to.
#    Every folder above {base} must be root's and not writable by others, or sshd refuses the chroot.
install -d -m 0755 -o root -g root {base}
cd {base}
install -d -m 0700 -o {account} -g {account} {target.repository} && cd {target.repository}
install -d -m 0700 -o {account} -g {account} {folders}
for i in $(seq 0 255); do install -d -m 0700 -o {account} -g {account} data/$(printf %02x $i); done

# 3. What the account may do.
cat > /etc/ssh/sshd_config.d/holdfast-{target.account}.conf <<'SSHD'
{sshd_block(target)}
SSHD
sshd -t && systemctl reload ssh

# 4. Once a day, as root: temporary names of finished files are second names of them, and cost a name each.
cat > /etc/cron.daily/holdfast-{target.account} <<'CRON'
#!/bin/sh
find {base}/{target.repository}/{TMP} -type f -name '*-tmp-*' -mmin +2880 -delete
CRON
chmod 0755 /etc/cron.daily/holdfast-{target.account}

# 5. Read out the key of this server, and compare it with what is pinned on the host.
ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
"""


def sshd_block(target: WriteOnce) -> str:
    """The Match block of sshd_config(5)."""
    return f"""Match User {target.account}
    AuthorizedKeysFile /etc/ssh/holdfast-keys/%u
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
    place = f"sftp://{target.account}@{host}:{port}//{target.repository}"
    restic = f"restic --no-lock --no-cache -r {shlex.quote(place)}"
    return f"""# On any machine with restic and an SSH key that the server takes
# (`sftp -P {port} {target.account}@{host}` must not ask for a password).
# --no-lock: a lock could be written there, but never be removed again.
{restic} snapshots
{restic} check
{restic} restore latest --target /mnt/restored

# On the server itself no SSH is needed, and nothing is refused to root:
restic --no-lock -r {shlex.quote(f"{target.base.rstrip('/')}/{target.repository}")} snapshots
"""
