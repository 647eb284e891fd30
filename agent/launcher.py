"""The launcher: a small process, forked before the core gives up its privileges, that starts workers where no systemd does.

On the request "start NAME" it forks a worker with a connected socket as descriptor 3, under the worker's own user and
capabilities, and passes the other end back. It knows no other request but "kill NAME", takes only names of its catalogue, reaps what
ends, and ends with the core. Everything a worker will need is imported before its privileges are dropped, because another user may not
be able to read this program's files.
"""

import array
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from agent import kernel, privileges
from agent.framing import Splitter, pack, read_frame, write_frame
from agent.hiding import hide
from agent.hosting import Hosting
from agent.last_words import last_words
from agent.listen_fds import hand_over
from agent.loop import Loop
from agent.preload import preload
from agent.privileges import Account, WorkerPrivileges
from agent.worker_main import serve
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Malformed, Refused, Unreachable
from contracts.record import Record

MAX_REQUEST = 1 << 10
ANSWER_S = 10.0
END_S = 3.0

_KEPT = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN")
# CAP_SYS_ADMIN hides the agent's own folders from workers (`agent.hiding`); no worker keeps it.


class Ask(Record):
    """What the core may ask: `start` or `kill` one worker."""

    verb: str
    worker: str
    number: int = 0


class Answer(Record):
    """To the request of that `number`; `error` is empty on success. A started worker's socket comes with it."""

    number: int = 0
    pid: int = 0
    uid: int = -1
    error: str = ""


class Launcher:
    """The core's handle on the launcher process; a `Connector`."""

    def __init__(self, sock: socket.socket, pid: int, catalogue: Mapping[str, WorkerPrivileges]) -> None:
        self._sock = sock
        self._catalogue = catalogue
        self._number = 0
        self._came: list[int] | None = None
        """The descriptors of an answer of which the rest has not come yet."""
        self.pid = pid

    @classmethod
    def start(
        cls,
        catalogue: Mapping[str, WorkerPrivileges],
        prepare: Callable[[str], Hosting],
        modules: Sequence[str] = (),
        hidden: Sequence[str] = (),
        folders: Mapping[str, str] | None = None,
    ) -> "Launcher":
        """Fork the launcher. Call it early: as root if ever, with one thread, from the thread that lives as long as the core.

        `prepare` is called in a worker's own process, still privileged, and imports all that the worker hosts; `modules` are imported once,
        by the launcher, besides what every worker needs. `hidden` are folders that no worker may see whatever it is permitted: the agent's
        state and keys. `folders` names each worker's own folder, which it finds in STATE_DIRECTORY as under systemd.
        """
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        core = os.getpid()
        pid = os.fork()
        if pid:
            theirs.close()
            ours.settimeout(ANSWER_S)
            return cls(ours, pid, catalogue)
        # What was garbage before the fork is never collected here: its descriptors are about to be closed and their numbers used anew.
        gc.freeze()
        code = 1
        try:
            ours.close()
            code = _Process(theirs, core, catalogue, prepare, modules, hidden, folders or {}).run()
        except Exception:  # noqa: BLE001  # a defect of the launcher: shown here; the core finds its workers gone
            last_words("holdfast launcher")
        finally:  # whatever happens, this copy of the core must never run on as one
            os._exit(code)

    def connect(self, name: str) -> socket.socket:
        """Start worker `name` and return its socket; raises `Refused` or `Unreachable`."""
        answer, sock = self._ask("start", name)
        if answer.error:
            raise Refused(f"the launcher did not start worker {name}: {answer.error}", permanent=False)
        if sock is None:
            raise Unreachable(f"the launcher sent no socket for worker {name}")
        return sock

    def kill(self, name: str) -> bool:
        """End worker `name` now."""
        try:
            answer, sock = self._ask("kill", name)
        except Unreachable:
            return False
        if sock is not None:
            sock.close()
        return not answer.error

    def uids(self, name: str) -> frozenset[int]:
        """Return the users worker `name` may run as: its own, or this process's where it cannot have one."""
        return frozenset({_account(name, self._catalogue[name]).uid, os.geteuid()})

    def stop(self) -> None:
        """End the launcher and with it every worker it started."""
        self._sock.close()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:  # somebody else has reaped it already
            return

    def _ask(self, verb: str, worker: str) -> tuple[Answer, socket.socket | None]:
        self._number += 1
        try:
            write_frame(self._sock, msgspec.msgpack.encode(Ask(verb=verb, worker=worker, number=self._number)))
            while True:
                answer, sock = self._answer()
                if answer.number == self._number:
                    return answer, sock
                if sock is not None:  # what was given up is answered late: that worker sees its socket closed, and ends
                    sock.close()
        except (OSError, Malformed, *UNDECODABLE) as error:
            raise Unreachable(f"the launcher does not answer: {error}") from error

    def _answer(self) -> tuple[Answer, socket.socket | None]:
        """Return the next answer; one that does not come in time is read by who asks next."""
        if self._came is None:
            # The descriptor travels with one byte of its own, so that the frames around it stay plain bytes.
            self._came = _receive_descriptors(self._sock)
        body = read_frame(self._sock, MAX_REQUEST)
        fds, self._came = self._came, None
        answer = msgspec.msgpack.decode(body or b"", type=Answer)
        return answer, socket.socket(fileno=fds[0]) if fds else None


class _Process:
    """The launcher process itself."""

    def __init__(
        self,
        sock: socket.socket,
        core: int,
        catalogue: Mapping[str, WorkerPrivileges],
        prepare: Callable[[str], Hosting],
        modules: Sequence[str],
        hidden: Sequence[str],
        folders: Mapping[str, str],
    ) -> None:
        self._sock = sock
        self._core = core
        self._catalogue = catalogue
        self._prepare = prepare
        self._modules = modules
        self._hidden, self._folders = hidden, folders
        self._children: dict[int, tuple[str, int]] = {}
        self._splitter = Splitter(MAX_REQUEST)

    def run(self) -> int:
        # What the core has open is none of this process's business, and would stay open through it.
        os.closerange(3, self._sock.fileno())
        os.closerange(self._sock.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        self._loop = Loop()
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they are meant for the core, whose end is this process's end
        signal.signal(signal.SIGTERM, lambda *_: self._loop.stop())
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self._core:
            return 0
        kernel.spare_memory()
        preload(self._modules)
        os.chdir("/")
        self._confine()
        gc.collect()
        gc.freeze()
        self._loop.add_reader(self._sock.fileno(), self._readable)
        self._loop.run()
        self._end_children()
        return 0

    def _end_children(self) -> None:
        """Let the workers end by themselves (they see the core's end, too), then make them."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for _, pidfd in self._children.values():
                signal.pidfd_send_signal(pidfd, number)
            until = time.monotonic() + END_S
            while self._children and time.monotonic() < until:
                ended, _, _ = select.select([pidfd for _, pidfd in self._children.values()], [], [], END_S)
                for pid in [pid for pid, (_, pidfd) in self._children.items() if pidfd in ended]:
                    self._reap(pid)

    def _confine(self) -> None:
        """Keep only what starting workers takes."""
        if privileges.may_change_user():
            given = {name for wanted in self._catalogue.values() for name in wanted.capabilities}
            privileges.narrow(given | set(_KEPT))
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(4096)
            if not data:
                self._loop.stop()
                return
            for body in self._splitter.feed(data):
                self._answer(msgspec.msgpack.decode(body, type=Ask))
        except (OSError, Malformed, *UNDECODABLE) as error:
            os.write(2, f"holdfast launcher: ends, because the core sent what is no request: {error}\n".encode())
            self._loop.stop()

    def _answer(self, ask: Ask) -> None:
        wanted = self._catalogue.get(ask.worker)
        if wanted is None or ask.verb not in ("start", "kill"):
            self._reply(Answer(number=ask.number, error=f"no {ask.verb!r} of {ask.worker!r} in the catalogue"))
            return
        self._kill(ask.worker)
        if ask.verb == "kill":
            self._reply(Answer(number=ask.number))
            return
        try:
            self._start(ask, wanted)
        except OSError as error:
            self._reply(Answer(number=ask.number, error=f"{error.strerror}"))

    def _reply(self, answer: Answer, sock: socket.socket | None = None) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))] if sock else []
        self._sock.sendmsg([b"\0"], rights)
        self._sock.sendall(pack(msgspec.msgpack.encode(answer)))

    def _start(self, ask: Ask, wanted: WorkerPrivileges) -> None:
        name = ask.worker
        ours, theirs = socket.socketpair()
        who = _account(name, wanted) if privileges.may_change_user() else None
        with ours, theirs:
            pid = os.fork()
            if pid == 0:
                self._become(name, wanted, who, theirs)
            self._children[pid] = (name, os.pidfd_open(pid))
            self._loop.add_reader(self._children[pid][1], lambda: self._reap(pid))
            self._reply(Answer(number=ask.number, pid=pid, uid=who.uid if who else os.geteuid()), ours)

    def _become(self, name: str, wanted: WorkerPrivileges, who: Account | None, sock: socket.socket) -> None:
        """Be the worker; never returns, because this copy of the launcher must not run on as one."""
        code = 1
        try:
            launcher = os.getppid()
            self._loop.close()
            hand_over(sock)
            os.closerange(4, os.sysconf("SC_OPEN_MAX"))
            os.dup2(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), 0)
            os.environ.pop("STATE_DIRECTORY", None)  # what the core itself may have been given
            if name in self._folders:
                os.environ["STATE_DIRECTORY"] = self._folders[name]
            hosting = self._prepare(name)
            foreign = [folder for other, folder in self._folders.items() if other != name]
            if not hide([*self._hidden, *foreign]) and wanted.capabilities:
                os.write(2, f"holdfast worker {name}: may see the agent's own folders (no CAP_SYS_ADMIN)\n".encode())
            _drop(who, wanted)
            # After the drop: a change of user clears it (prctl(2)).
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() == launcher:
                code = serve(name, hosting, wanted, frozenset({0, os.geteuid()}))
        except HoldfastError as error:
            os.write(2, f"holdfast worker {name}: {error}\n".encode())
        except Exception:  # noqa: BLE001  # a defect of this worker: shown here, and its end is reported by the core
            last_words(f"holdfast worker {name}")
        finally:
            os._exit(code)

    def _reap(self, pid: int) -> None:
        _, pidfd = self._children.pop(pid)
        self._loop.remove(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)

    def _kill(self, name: str) -> None:
        """Kill without waiting: a process deep in the kernel may take its time, and must not hold up the others."""
        for theirs, pidfd in self._children.values():
            if theirs == name:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _receive_descriptors(sock: socket.socket) -> list[int]:
    """Return the descriptors that come with one byte; `socket.recv_fds` does not pass on the flag that keeps them from children."""
    fds = array.array("i")
    _, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return fds.tolist()


def _drop(who: Account | None, wanted: WorkerPrivileges) -> None:
    try:
        privileges.drop(who, wanted.capabilities, wanted.ambient)
    except OSError:
        # A user namespace that maps no other user: run on as this one without the privileges; `Ready.lost` says so.
        privileges.drop(None, wanted.capabilities, wanted.ambient)


def _account(name: str, wanted: WorkerPrivileges) -> Account:
    return privileges.account(name, wanted.user)
