"""Package provenance in one place: learns archives while they are there, says whether a run is under way, and answers the judgement.

Learning comes first: apt may delete an archive once it is installed (`apt` does, `apt-get` does not), so each is read when it appears,
from a descriptor that outlives its name. What was never seen stays unproved; see docs/design/provenance.md.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from msgspec.structs import replace

from collectors.integrity.packages import deb
from collectors.integrity.packages.dpkg_state import DpkgState, archives
from collectors.integrity.packages.indices import Found, find
from collectors.integrity.packages.present import LATE_MS, Learnt, Present, at_once
from collectors.integrity.packages.signatures import LISTS, Signatures, SignedRelease
from collectors.integrity.packages.store import PackageStore
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.provenance import Listing, Shipment, Transaction

ARCHIVES = "/var/cache/apt/archives"
KEPT_MS = 30 * 86_400_000
"""How long an archive that is not installed any more is remembered."""
_SECOND_MS = 2000
"""How far the logs' whole seconds may lie before the times of ours."""
AT_ONCE = 1000
"""Archives held open at once."""
AGAIN_MS = 600_000
"""Lists that did not verify are looked at again so often without a sign that they are others now: gpgv or a keyring may have come."""
_OPEN, _ARCHIVE, _LIST = "open ", "archive ", "list "
"""How the names of flaws begin that stand until something is looked at with success."""
_MIDWAY = (b".dpkg-new", b".dpkg-tmp")


class PackageDesk(Present):
    """Implements `contracts.provenance.Knowledge`. `folder` is one of our own; `extra` are folders where archives may lie besides."""

    fix = "Run apt update, or put the archives into a folder named in collectors.integrity.packages.archives."
    """What would do where packages are unproved."""

    def __init__(self, host: ReadOnlyHost, folder: Path, extra: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(host)
        self._store = PackageStore(folder / "packages.db")
        self.parts, self.keep_parts = self._store.parts, self._store.keep_parts
        self._signatures = Signatures(host, folder / "keyrings")
        self._state = DpkgState(host)
        self._folders = (ARCHIVES, *extra)
        self._seen: dict[str, bool] = self._store.seen()
        self._present: dict[str, frozenset[bytes]] = {}
        self._before: dict[str, str] = {}
        self._arriving: frozenset[tuple[str, str]] = frozenset()
        self.transactions: Sequence[Transaction] = ()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def is_busy(self) -> bool:
        """Say whether a run of dpkg is under way."""
        return self._state.is_busy()

    def learn(self, between: Callable[[], None] = at_once) -> Learnt:
        """Read archives that have appeared and compare them with the signed indices; cheap when there are none.

        All of them are opened before the first is read, because apt may delete them meanwhile; one is in memory at a time. `between` is
        called before each, and may wait.
        """
        flaws: dict[str, str] = {}
        has_other_lists = self._forget_unsigned()
        self._seen = self._store.seen()  # another thread's desk may have read some, or trusted a key
        waiting = self._opened(self._candidates(flaws), flaws)
        try:
            local = self._lacking() if self._signatures.has_local() else frozenset()
            if not waiting and not local and not self._is_due(has_other_lists):
                self._stand(flaws)
                return Learnt(flaws=tuple(flaws.values()))
            between()
            releases, unsigned = self._signatures.releases()
            waiting |= self._opened(self._local(releases, local), flaws)
            names = frozenset(_named(path) for _, path in waiting.values())
            found, unverified = find(self._host, releases, names)
            flaws |= {_LIST + text: text for text in (*unsigned, *unverified)}
            self._store.keep("lists_looked_ms", str(self._now_ms()))
            trusted = self._trusted({key for release in releases for key in release.signers})
            by_digest = {one.stanza.sha256: one for one in found}
            fresh = {}
            for stamp, (descriptor, path) in waiting.items():
                between()
                fresh[stamp] = self._learnt(descriptor, path, by_digest, trusted, flaws)
        finally:
            for descriptor, _ in waiting.values():
                os.close(descriptor)
        self._seen |= fresh
        self._store.note(fresh)
        self._stand(flaws, frozenset(path for _, path in waiting.values()), has_read_lists=True)
        return Learnt(archives=len(fresh), signed=sum(fresh.values()), flaws=tuple(flaws.values()))

    def standing(self) -> tuple[str, ...]:
        """Return a sentence for each thing that could not be verified when it was last looked at, and was not since."""
        return tuple(self._store.flaws().values())

    def _is_due(self, has_other_lists: bool) -> bool:
        """Say whether lists that did not verify are to be looked at again though no archive asks for them."""
        if not self._store.flaws(_LIST):
            return False
        return has_other_lists or self._now_ms() - int(self._store.fact("lists_looked_ms") or 0) >= AGAIN_MS

    def _stand(
        self, found: Mapping[str, str], read: frozenset[str] = frozenset(), *, has_read_lists: bool = False
    ) -> None:
        """Keep what could not be verified until it is: `read` are the archives that were looked at in this round."""
        held = self._store.flaws()
        mended = [
            what
            for what in held.keys() - found.keys()
            if what.startswith(_OPEN)
            or (what.startswith(_LIST) and has_read_lists)
            or (what.startswith(_ARCHIVE) and self._is_settled(what.removeprefix(_ARCHIVE), read))
        ]
        if found or mended:
            self._store.keep_flaws(found, mended)
        if any(what.startswith(_LIST) for what in mended):  # what they sign may be proved now
            self._store.note({}, [stamp for stamp, signed in self._store.seen().items() if not signed])

    def _is_settled(self, path: str, read: frozenset[str]) -> bool:
        """Say whether an archive was looked at again, or is gone without being what is installed."""
        if path in read:
            return True
        if Path(path).exists():
            return False
        try:
            self._state.refresh()
        except Unavailable:
            return False
        words = unquote(_base(path)).removesuffix(".deb").split("_")
        return not any([one.name, one.version] == words[:2] for one in self._state.packages().values())

    def _learnt(
        self, descriptor: int, path: str, by_digest: Mapping[str, Found], trusted: frozenset[str], flaws: dict[str, str]
    ) -> bool:
        """Read one archive and keep what it ships; returns whether a trusted key signs it."""
        try:
            one, files = deb.read(descriptor, path)
        except Malformed as error:
            flaws[_ARCHIVE + path] = error.message
            return False
        match = by_digest.get(one.sha256.hex())
        signers = [key for key in match.signers if key in trusted] if match is not None else []
        if match is not None and not signers:
            what = f"{one.package} {one.version} is signed by keys that came later: {', '.join(match.signers)}"
            flaws[_ARCHIVE + path] = what
        now_ms = int(self._host.now().timestamp() * 1000)
        self._store.add(one, files, signers[0] if signers else "", match.origin if match else "", now_ms)
        return bool(signers)

    def _forget_unsigned(self) -> bool:
        """Look again at archives that nothing signed, once apt has other lists; says whether it has."""
        try:
            stamp = str(self._host.files.stat(LISTS).mtime_ns)
        except Unavailable:
            return False  # no lists: nothing is signed, and nothing new can be
        if self._store.fact("lists") == stamp:
            return False
        self._store.note({}, [each for each, signed in self._store.seen().items() if not signed])
        self._store.keep("lists", stamp)
        self._seen = {each: signed for each, signed in self._seen.items() if signed}
        return True

    def _opened(self, paths: Iterable[str], flaws: dict[str, str]) -> dict[str, tuple[int, str]]:
        """Open the archives that were not read yet, `AT_ONCE` at most."""
        found: dict[str, tuple[int, str]] = {}
        for path in paths:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                continue
            except OSError as error:
                flaws[_OPEN + path] = f"{path}: {error.strerror}"
                continue
            stat = os.fstat(descriptor)
            stamp = f"{stat.st_dev}.{stat.st_ino}.{stat.st_mtime_ns}.{stat.st_size}"
            if stamp in self._seen or stamp in found or len(found) >= AT_ONCE:
                os.close(descriptor)
            else:
                found[stamp] = descriptor, path
        return found

    def _candidates(self, flaws: dict[str, str]) -> Iterator[str]:
        for folder in self._folders:
            try:
                yield from archives(folder)
            except OSError as error:
                flaws[_OPEN + folder] = f"{folder}: {error.strerror}"

    def _lacking(self) -> frozenset[str]:
        """Return the packages that came since the files were last settled and whose archive is not known."""
        try:
            self._state.refresh()
        except Unavailable:
            return frozenset()  # no dpkg, no packages
        before = self._store.versions()
        known = {each[:3] for each in self._store.archives()}
        came = {
            one.name
            for key, one in self._state.packages().items()
            if before.get(key) != one.version and (one.name, one.version, one.architecture) not in known
        }
        versions = {each[:2] for each in known}
        began = (one for run in self._runs() if not run.told for one in run.packages)
        return frozenset(came | {one.name for one in began if one.after and (one.name, one.after) not in versions})

    def _local(self, releases: list[SignedRelease], names: frozenset[str]) -> Iterator[str]:
        """Yield where the archives of such packages lie that apt took from a folder of this machine, without a copy of its own."""
        here = [release for release in releases if release.source.local]
        for each in find(self._host, here, names)[0]:
            yield os.path.normpath(f"{each.base.partition(':')[2]}/{each.stanza.filename}")

    def _trusted(self, signers: set[str]) -> frozenset[str]:
        """Return the keys that count: all at the very first time, later those and what a person or a signed keyring added."""
        held = self._store.keys()
        if not held and signers:
            self._store.trust(signers, "trusted by apt when packages were first learnt")
            held = self._store.keys()
        return frozenset(held)

    def trust(self, fingerprints: Iterable[str], who: str) -> None:
        """Trust keys that came later; archives that they signed are looked at again."""
        self._store.trust(fingerprints, f"accepted by {who}")
        self._store.note({}, [stamp for stamp, signed in self._seen.items() if not signed])
        self._seen = self._store.seen()

    def signers(self) -> dict[str, bool]:
        """Return the keys that sign apt's lists now, by fingerprint, and whether each is trusted; raises `Unavailable` without any."""
        releases, flaws = self._signatures.releases()
        found = {key for release in releases for key in release.signers}
        if not found:
            detail = f"no list of apt's is signed: {flaws[0]}" if flaws else "apt has no lists here"
            raise Unavailable(Why.NOT_PRESENT, detail, advice="run apt update")
        trusted = self._trusted(found)
        return {key: key in trusted for key in sorted(found)}

    def fetch(self) -> list[str]:
        """Return the file names of installed packages whose archive was never seen, as the verified indices name them."""
        known = {
            (package, version, architecture)
            for package, version, architecture, signer in self._store.archives()
            if signer
        }
        lacking = [
            one for one in self._state.packages().values() if (one.name, one.version, one.architecture) not in known
        ]
        return sorted(f"{one.name}={one.version}" for one in lacking)

    def is_begun(self) -> bool:
        """Say whether a state of dpkg's is kept as what was before."""
        return bool(self._store.fact("settled_ms"))

    def begin(self) -> None:
        """Read dpkg's state and the runs since the files were last settled; raises `Unavailable` where there is no dpkg."""
        self._state.refresh()
        self._present.clear()
        self._before = self._store.versions()
        self.transactions = self._runs()
        self._arriving = frozenset(self._left_midway())

    def has_news(self) -> bool:
        """Say whether a run is known that was not told."""
        return any(not run.told for run in self._runs())

    def logs(self) -> tuple[int, ...]:
        """Return a mark of apt's and dpkg's logs, another one after each line that is written there."""
        return self._state.logs()

    def _runs(self) -> list[Transaction]:
        """Return the runs that were not settled yet, and those of late that were; the logs know whole seconds only."""
        since = int(self._store.fact("settled_ms") or 0)
        if not since:
            return []
        told = self._told()
        oldest = min(since - _SECOND_MS, self._now_ms() - LATE_MS)
        runs = [replace(run, told=run.id in told) for run in self._state.runs(oldest, told)]
        return [run for run in runs if run.told or not run.ended_ms or run.ended_ms >= since - _SECOND_MS]

    def _told(self) -> dict[str, int]:
        """Return the runs that were told or are older than what we know, with their ends, by id."""
        pairs = (word.partition("=") for word in self._store.fact("settled_runs").split())
        return {name: int(ended or 0) for name, _, ended in pairs}

    def _left_midway(self) -> Iterator[tuple[str, str]]:
        """Yield packages and versions of which a part may be there, as their last run is under way or did not come to its end."""
        states = {one.name: one.state for one in self._state.packages().values()}
        last = {one.name: (run, one) for run in self.transactions for one in run.packages}
        for run, one in last.values():
            if (not run.ended_ms or run.unfinished) and states.get(one.name) != "installed":
                yield from ((one.name, version) for version in (one.before, one.after) if version)

    def settle(self) -> None:
        """Keep dpkg's present state as what was before: call it when the changes of runs were judged and stated.

        While a run is under way, what was before it stays so.
        """
        now_ms = self._now_ms()
        self._keep_told(now_ms)
        if any(not run.ended_ms for run in self.transactions):
            return
        before = self._store.versions()
        packages = self._state.packages()
        now = {key: one.version for key, one in packages.items()}
        touched = {one.name for run in self.transactions if not run.told for one in run.packages}
        if now == before and not touched and self.is_begun():
            return
        lists = [
            (one.name, self._state.names(one))
            for key, one in packages.items()
            if before.get(key) != one.version or one.name in touched
        ]
        names = {one.name for one in packages.values()}
        gone: list[tuple[str, list[bytes]]] = [
            (key.partition(":")[0], []) for key in before if key not in now and key.partition(":")[0] not in names
        ]
        self._store.settle(now, [*_united(lists), *gone])
        if not self.is_begun():
            self.transactions = self._state.runs(now_ms - LATE_MS)  # they were before all that will be told
            self._keep_told(now_ms)
        self._store.keep("settled_ms", str(now_ms))
        self._store.drop({(one.name, one.version) for one in packages.values()}, now_ms - KEPT_MS)

    def _keep_told(self, now_ms: int) -> None:
        """Keep which runs were told, for as long as more of them may be found."""
        held = self._told()
        told = held | {run.id: run.ended_ms for run in self.transactions if run.ended_ms}
        told = {name: ended for name, ended in told.items() if ended >= now_ms - 2 * LATE_MS}
        if told != held:
            self._store.keep("settled_runs", " ".join(f"{name}={ended}" for name, ended in told.items()))

    def _now_ms(self) -> int:
        return int(self._host.now().timestamp() * 1000)

    # What the judgement asks.

    def shipped(self, path: bytes) -> list[Shipment]:
        """Return what known archives ship under a name."""
        found = []
        for name in self._names_of(path):
            for former, moved, by in self._state.diversions:
                if moved == name:
                    found += [one for one in self._store.shipped(former) if one.package != by]
            taker = next((by for former, _, by in self._state.diversions if former == name), "")
            found += [one for one in self._store.shipped(name) if not taker or one.package == taker]
        told = [
            Shipment(
                one.file,
                one.package,
                one.version,
                one.architecture,
                one.signed_by,
                self._state.is_installed(one.package, one.version, one.architecture)
                or (one.package, one.version) in self._arriving,
            )
            for one in found
        ]
        return sorted(told, key=lambda one: not one.installed)

    def listed(self, path: bytes) -> list[Listing]:
        """Return what dpkg's lists name under a path now."""
        names = self._names_of(path)
        found = []
        for name in self._owners(names):
            for one in self._state.packages().values():
                if one.name == name:
                    listings = [self._state.listing(one, each) for each in names]
                    found.append(next((each for each in listings if each.digest), listings[0]))
        return found

    def _owners(self, names: list[bytes]) -> list[str]:
        """Return the packages that list one of the names now; asked of the last settled lists, and of those of changed packages."""
        held = {package for name in names for package in self._store.former(name)}
        before = self._before
        changed = {one.name for run in self.transactions if not run.told for one in run.packages}
        for key, one in self._state.packages().items():
            if before.get(key) == one.version and one.name not in changed:
                continue
            held.discard(one.name)
            if one.key not in self._present:
                self._present[one.key] = frozenset(self._state.names(one))
            if any(name in self._present[one.key] for name in names):
                held.add(one.name)
        present = {one.name for one in self._state.packages().values()}
        return sorted(held & present)

    def former(self, path: bytes) -> list[str]:
        """Return the packages that listed the name when last settled."""
        return sorted({package for name in self._names_of(path) for package in self._store.former(name)})

    def scripts(self, package: str) -> str:
        """Return the maintainer scripts of the installed version, or of the last one that is known."""
        version = next((one.version for one in self._state.packages().values() if one.name == package), "")
        return self._store.scripts(package, version)

    def copies(self, content: bytes, packages: frozenset[str]) -> str:
        """Return one path under which signed archives of the packages ship a content."""
        return self._store.copies(content, packages)

    def _names_of(self, path: bytes) -> list[bytes]:
        """Return the names under which an archive may ship what stands at `path`, after the merge of /bin and the like into /usr."""
        if self._arriving and path.endswith(_MIDWAY):
            path = path.rpartition(b".")[0]  # what dpkg has unpacked, or put aside, and not yet moved to its name
        return self.unmerged(path)


def _named(path: str) -> str:
    """Return the package that an archive's file name says, as apt and mirrors name them; whether it is so, its digest says."""
    return _base(path).partition("_")[0]


def _base(path: str) -> str:
    return os.path.basename(path)  # noqa: PTH119  # a name, no path to be asked


def _united(lists: Iterable[tuple[str, list[bytes]]]) -> list[tuple[str, list[bytes]]]:
    """One list for a package that is installed for several architectures."""
    found: dict[str, list[bytes]] = {}
    for name, paths in lists:
        found.setdefault(name, []).extend(paths)
    return list(found.items())
