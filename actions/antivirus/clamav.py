"""ClamAV as the deeds need it: its configurations, where its daemon listens, which version lies on the disk."""

from collections.abc import Iterator

from analysis.antivirus import clamav_conf, cvd
from contracts.clamav_options import ClamavOptions
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Host, ReadOnlyHost
from contracts.subjects.antivirus import Limits

_DAILY = ("daily.cvd", "daily.cld", "daily.cud")


class Clamav:
    """Reads afresh whenever it is asked: configurations change while the agent runs."""

    def __init__(self, host: ReadOnlyHost, options: ClamavOptions) -> None:
        self.host = host
        self._options = options

    def clamd(self) -> clamav_conf.Conf | None:
        """clamd's configuration, None where there is none; raises `Unavailable` where it cannot be read."""
        return self._first(self._options.clamd_confs())

    def freshclam(self) -> tuple[str, clamav_conf.Conf]:
        """The text of freshclam's configuration and what it says; raises `Unavailable`."""
        for path in self._options.freshclam_confs():
            try:
                text = self.host.files.read(path).decode("utf-8", "replace")
            except Unavailable as error:
                if error.why is not Why.NOT_PRESENT:
                    raise
                continue
            return text, clamav_conf.parse(text)
        paths = ", ".join(self._options.freshclam_confs())
        raise Unavailable(Why.NOT_PRESENT, f"there is no {paths}", advice="install the package clamav-freshclam")

    def daemon(self) -> tuple[str, Limits]:
        """Where the daemon listens and up to where it looks; raises `Unavailable`."""
        conf = self.clamd()
        for address in clamav_conf.addresses(conf) if conf is not None else ():
            return address, clamav_conf.limits(conf) if conf is not None else Limits()
        raise Unavailable(
            Why.NOT_PRESENT, "clamd is not configured on this host", advice="install the package clamav-daemon"
        )

    def loaded(self, address: str) -> int:
        """The daily version that the daemon works with, -1 for none; raises `Unavailable`."""
        return self.version(address)[1]

    def version(self, address: str) -> tuple[str, int]:
        """The daemon's whole answer, and its daily version; raises `Unavailable`."""
        answer = self.host.clamd.ask(address, "VERSION")
        try:
            return answer, cvd.version_of(answer)[1]
        except Malformed as error:
            raise Unavailable(Why.MALFORMED, error.message) from error

    def daily(self, folder: str) -> int:
        """The newest daily version in a folder, -1 where there is none that can be read."""
        return max((head.version for _, head in self.heads(folder)), default=-1)

    def heads(self, folder: str) -> Iterator[tuple[str, cvd.Head]]:
        """Names and headers of the daily databases in a folder."""
        for name in _DAILY:
            try:
                yield name, cvd.parse(self.host.files.head(f"{folder}/{name}", cvd.SIZE))
            except (Unavailable, Malformed):
                continue  # the collector states broken files; here they count for nothing

    def _first(self, paths: tuple[str, ...]) -> clamav_conf.Conf | None:
        for path in paths:
            try:
                return clamav_conf.parse(self.host.files.read(path).decode("utf-8", "replace"))
            except Unavailable as error:
                if error.why is not Why.NOT_PRESENT:
                    raise
        return None


def available_bytes(host: Host | ReadOnlyHost) -> int:
    """Memory that programs can have without swapping, as the kernel estimates; -1 where it does not say (`proc(5)`)."""
    try:
        text = host.files.read("/proc/meminfo", 64 << 10).decode("ascii", "replace")
    except Unavailable:
        return -1
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return -1
