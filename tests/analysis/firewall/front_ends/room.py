"""A room for a real firewall front end: the host's network namespace, with an /etc, /run, /var/log and processes of its own.

Nothing it does reaches the machine: /etc is an overlay that is thrown away (in which names are not asked of any server), and every
process in it ends with the room, which ends with the test.
"""

import subprocess
import time
from pathlib import Path

from tests.analysis.firewall.kernel.topology import World

SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs room "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay room -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
for place in /run /var/log /var/lib/fail2ban; do
    if [ -d "$place" ]; then mount -t tmpfs room "$place"; fi
done
mount -t sysfs room /sys
mkdir -p /run/lock /run/dbus /run/fail2ban
sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
echo ready
exec cat >/dev/null
"""
PATIENCE_S = 40.0


class Room:
    """The namespaces; `run` runs in them. Use it as a context."""

    def __init__(self, world: World, folder: Path) -> None:
        unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._holder = subprocess.Popen(
            (*world.inside("host"), *unshare, "sh", "-c", SCRIPT, "sh", str(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"the room was not made: {self._holder.wait()}")
        self._inner = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()[0]

    def __enter__(self) -> "Room":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()

    def inside(self, *argv: str) -> tuple[str, ...]:
        """Return the words that run a command in here."""
        return ("nsenter", f"--target={self._inner}", "--mount", "--pid", "--net", "--", *argv)

    def run(self, *argv: str, stdin: str = "") -> str:
        """Run a command in here and return what it said; fails when it does."""
        done = subprocess.run(self.inside(*argv), input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file in here."""
        self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat >{path}", stdin=text)

    def start(self, *argv: str) -> None:
        """Start a program that stays; it ends with the room."""
        subprocess.Popen(
            self.inside(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait_for(self, expected: str, *argv: str) -> str:
        """Run a command until it says `expected`."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(self.inside(*argv), capture_output=True, text=True, check=False)
            if expected in done.stdout:
                return done.stdout
            if time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(argv)} never said {expected!r}: {done.stdout}{done.stderr}")
            time.sleep(0.1)
