"""A real ClamAV for tests: small databases, clamd and a mirror for freshclam, in a folder and on a socket of their own.

freshclam refuses unsigned CVDs, so the databases are CUDs: an unsigned `daily.cud` sets the version that clamd says.
"""

import contextlib
import functools
import hashlib
import http.server
import io
import os
import pwd
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
from pathlib import Path

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
NAME = "Eicar-Test-Signature"
CLAMD, FRESHCLAM = "/usr/sbin/clamd", "/usr/bin/freshclam"
TEST_FILES = Path("/usr/share/clamav-testfiles")


def signatures() -> dict[str, bytes]:
    """The signatures of EICAR and, as they are unpacked, of Debian's clamav-testfiles: a program that says hello."""
    found = b"".join((f"{NAME}:0:*:".encode(), EICAR.hex().encode(), b"\n"))
    plain = (TEST_FILES / "clam.exe").read_bytes()
    return {
        "daily.ndb": found,
        "daily.hdb": f"{hashlib.md5(plain).hexdigest()}:{len(plain)}:Clamav.Test.File-6\n".encode(),
    }


def database(version: int, built_s: float | None = None, files: dict[str, bytes] | None = None) -> bytes:
    """Return an unsigned container (CUD) called daily."""
    built, held = int(built_s or time.time()), files if files is not None else signatures()
    stamp = time.strftime("%d %b %Y %H-%M +0000", time.gmtime(built))
    count = sum(content.count(b"\n") for content in held.values())
    head = f"ClamAV-VDB:{stamp}:{version}:{count}:90"
    sums = "".join(f"{name}:{len(raw)}:{hashlib.sha256(raw).hexdigest()}\n" for name, raw in held.items())
    info = f"{head}:X:X:tests:{built}\n{sums}".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, raw in {"COPYING": b"a test\n", "daily.info": info, **held}.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    body = packed.getvalue()
    return f"{head}:{hashlib.md5(body).hexdigest()}:X:tests:{built}".encode().ljust(512) + body


class Lab:
    """A folder with databases, configurations and a socket; short, because a socket's path may be."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hfav", dir="/tmp"))  # a short path that other users may enter
        self.folder.chmod(0o755)
        self.databases = self.folder / "db"
        self.databases.mkdir(mode=0o755)
        self.socket = self.folder / "s"
        self.address = f"unix:{self.socket}"
        self.clamd_conf = self.folder / "clamd.conf"
        self.freshclam_conf = self.folder / "freshclam.conf"
        self.log = self.folder / "freshclam.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.put(27001)
        self.configure()

    def put(self, version: int, built_s: float | None = None) -> None:
        """Place a database as freshclam does: whole, by a rename."""
        (self.folder / "new").write_bytes(database(version, built_s))
        (self.folder / "new").chmod(0o644)
        past = time.time() - 3600  # freshclam asks a mirror for what is newer than this
        os.utime(self.folder / "new", (past, past))
        (self.folder / "new").rename(self.databases / "daily.cud")
        self.own()

    def own(self) -> None:
        """Let the databases belong to clamav, as Debian has it."""
        user = pwd.getpwnam("clamav")
        for path in (self.databases, *self.databases.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)

    def configure(self, **settings: str) -> None:
        """Write clamd's configuration."""
        wanted = {
            "LocalSocket": str(self.socket), "DatabaseDirectory": str(self.databases), "Foreground": "yes",
            "LogFile": str(self.folder / "clamd.log"), "User": "clamav", "MaxThreads": "4", "LocalSocketMode": "666",
            "CommandReadTimeout": "5", **settings,
        }  # fmt: skip
        self.clamd_conf.write_text("".join(f"{name} {value}\n" for name, value in wanted.items()))

    def start(self) -> None:
        """Start clamd and wait until it answers."""
        log = self.folder / "clamd.log"
        log.touch()
        user = pwd.getpwnam("clamav")
        os.chown(log, user.pw_uid, user.pw_gid)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._process = subprocess.Popen(
            [CLAMD, "-c", str(self.clamd_conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(self.socket))
                sock.sendall(b"zPING\0")
                if sock.recv(16) == b"PONG\0":
                    return
            time.sleep(0.05)
        raise RuntimeError(f"clamd did not start: {log.read_text()[-500:]}")

    def stop(self) -> None:
        """End clamd."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        """clamd's process."""
        assert self._process is not None
        return self._process.pid

    def close(self) -> None:
        """End clamd and remove the folder."""
        self.stop()
        shutil.rmtree(self.folder)


class Mirror:
    """A web server on loopback that serves a folder, as a private mirror does; `asked` are the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.status = 0
        self.cut = 0

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(handler) -> None:  # `self` is the mirror
                self.asked.append(handler.path)
                if self.status:
                    handler.send_error(self.status)
                    return
                if self.cut and (folder / handler.path.strip("/")).is_file():
                    raw = (folder / handler.path.strip("/")).read_bytes()
                    handler.send_response(200)
                    handler.send_header("Content-Length", str(len(raw)))
                    handler.end_headers()
                    handler.wfile.write(raw[: self.cut])
                    handler.close_connection = True
                    return
                super(Handler, handler).do_GET()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def running(**settings: str):
    """A lab whose clamd runs."""
    lab = Lab()
    try:
        lab.configure(**settings)
        lab.start()
        yield lab
    finally:
        lab.close()
