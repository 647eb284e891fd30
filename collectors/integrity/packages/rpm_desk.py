"""Package provenance on a system of rpm, as `desk.PackageDesk` on one of dpkg: signed headers learnt, runs told, the judgement answered.

A header in rpm's database carries its makers' signature over names, digests, modes and owners; a package whose header verifies with a key
of a key file ships what it says. See docs/design/provenance-rpm.md.
"""

import hashlib
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from analysis.integrity import rpm_package, rpm_runs
from analysis.integrity.openpgp import BINARY, signatures
from analysis.integrity.rpm_package import RpmFile
from collectors.integrity.packages.deb import Deb
from collectors.integrity.packages.dnf_history import DnfHistory
from collectors.integrity.packages.present import LATE_MS, Learnt, Present, at_once
from collectors.integrity.packages.put_off import PutOff
from collectors.integrity.packages.rpm_keys import RpmKeys
from collectors.integrity.packages.rpm_state import Held, RpmState
from collectors.integrity.packages.store import PackageStore
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.provenance import NAMES, WEAK, Listing, Shipment, Shipped, Transaction
from contracts.record import Record

KEPT_MS = 30 * 86_400_000
"""How long a header that is not installed any more is remembered."""
_GHOST = "%ghost "
"""Before the package in lists of names that it owns and does not bring."""
_NEW = b".rpmnew"
_BINS = (b"/usr/sbin", b"/bin", b"/sbin")
"""What packages may call `/usr/bin` where all four are one folder."""
_TOLD = msgspec.json.Decoder(list[Transaction])
_SHOWN = 3
_HEADER = "header "
"""How the names of flaws begin that stand as long as a header is there and not proved."""
_STRANGER, _HISTORY = "which is in no key file", "dnf's history cannot be read: "


class _Verdict(Record):
    """What became of a header's signatures: the key that made a good one, or what is the matter."""

    signer: str = ""
    stranger: str = ""
    """The id of a key that no key file holds."""
    altered: str = ""
    weak: str = ""


class RpmDesk(Present):
    """Implements `contracts.provenance.Knowledge`. `place` is a folder of our own, `database` the folder of rpm's."""

    fix = (
        "Put the public key of who made them into /etc/pki/rpm-gpg, after comparing it; install anew what was altered."
    )
    """What would do where packages are unproved."""

    def __init__(self, host: ReadOnlyHost, place: Path, database: str) -> None:
        super().__init__(host)
        place.mkdir(parents=True, exist_ok=True)
        self._store = PackageStore(place / "packages.db")
        self.parts, self.keep_parts = self._store.parts, self._store.keep_parts
        self.late = PutOff(self._store)
        self._state = RpmState(host, database, place)
        self._history = DnfHistory(host, place)
        self._keys = RpmKeys(host)
        self._learnt: tuple[object, ...] | None = None
        self._changed: set[str] = set()
        """The packages that are not as they were when last settled."""
        self._present: dict[str, frozenset[bytes]] = {}
        self._flaws: dict[str, None] = {}
        self._unread: dict[str, None] = {}
        """Why what some packages hold could not be read from the database as it is."""
        self._sbin = Path("/usr/sbin").is_symlink()
        self.transactions: Sequence[Transaction] = ()

    def close(self) -> None:
        """Close the file, and let go of the database."""
        self._state.close()
        self._store.close()

    def is_busy(self) -> bool:
        """Say whether a run of rpm is under way."""
        return self._state.is_busy()

    def learn(self, between: Callable[[], None] = at_once) -> Learnt:
        """Verify headers that were not seen before; cheap when there are none. `between` is called before each, and may wait."""
        if self.is_busy():
            return Learnt(
                flaws=self._taken()
            )  # the database changes with each package, and all of it is there when the run is over
        try:
            self._state.refresh()
        except Unavailable:
            return Learnt()  # `begin` says it
        mark = self._state.read(), self._keys.stamp()
        if mark == self._learnt:
            return Learnt(flaws=self._taken())
        self._unread.clear()
        self._forget_unsigned()
        seen = self._store.seen()
        fresh = {one.digest: one for one in self._state.held if one.digest not in seen}
        before = frozenset(each[:3] for each in self._store.archives() if each[3])
        verdicts = {}
        for digest, one in fresh.items():
            between()
            verdicts[digest] = self._verdict(one, one.package.identity in before)
        trusted = self._trusted({each.signer for each in verdicts.values() if each.signer})
        kept = {digest: self._kept(one, verdicts[digest], trusted) for digest, one in fresh.items()}
        self._store.note(kept)
        altered = self._altered(fresh, verdicts)
        self._stand(fresh, verdicts, trusted)
        told = [*self._state.flaws, *self._keys.flaws, *_said(self._store.flaws(_HEADER), fresh), *self._taken()]
        self._learnt = mark
        return Learnt(archives=len(fresh), signed=sum(kept.values()), flaws=tuple(told), altered=altered)

    def _verdict(self, one: Held, was_signed: bool) -> _Verdict:
        """Try every signature of a header; one good one is enough, and one bad one without a good one is too much."""
        found = _Verdict()
        try:
            header = self._state.header(one)
        except Malformed as error:
            return _Verdict(weak=error.message)
        for packet in one.package.signatures:
            try:
                made = [each for each in signatures(packet) if each.kind == BINARY]
            except ValueError as error:
                found = replace(found, weak=str(error))
                continue
            for each in made:
                signer = self._keys.signer(each, header.signed())
                if signer:
                    return _Verdict(signer=signer)
                if signer is None:
                    found = replace(
                        found, altered="its signature is not good: the header is not what its makers signed"
                    )
                else:
                    found = replace(found, stranger=each.key_id or "of no name")
        if not found.altered and was_signed:
            found = replace(found, altered="its header was signed when it was first seen, and is not any more")
        return found

    def _kept(self, one: Held, verdict: _Verdict, trusted: frozenset[str]) -> bool:
        """Keep what a header says its package ships, unless it was altered; returns whether a trusted key signs it."""
        signer = verdict.signer if verdict.signer in trusted else ""
        if verdict.altered:
            return False
        package = one.package
        try:
            header = self._state.header(one)
            held = self._state.files(one).values()
            scripts = rpm_package.scripts(header)
        except (Malformed, ValueError) as error:
            self._flaws[str(error)] = self._unread[str(error)] = None
            return False
        deb = Deb(
            sha256=hashlib.sha256(b"".join(header.signed())).digest(),
            package=package.name,
            version=package.version,
            architecture=package.architecture,
            key=package.key,
            scripts=scripts,
        )
        compared = [each.shipped for each in held if not each.ghost and _is_comparable(each.shipped)]
        self._store.add(deb, compared, signer, "", self._now_ms())
        return bool(signer)

    def _altered(self, fresh: Mapping[str, Held], verdicts: Mapping[str, _Verdict]) -> tuple[tuple[str, str], ...]:
        """Keep which headers were altered, of those that are there: what they list counts for nothing."""
        found = {digest for digest, verdict in verdicts.items() if verdict.altered}
        present = {one.digest for one in self._state.held}
        self._store.keep("altered", " ".join(sorted((found | (self._altered_ones() - set(fresh))) & present)))
        return tuple((_named(fresh[digest]), verdicts[digest].altered) for digest in sorted(found))

    def _altered_ones(self) -> frozenset[str]:
        return frozenset(self._store.fact("altered").split())

    def _stand(self, fresh: Mapping[str, Held], verdicts: Mapping[str, _Verdict], trusted: frozenset[str]) -> None:
        """Keep what could not be proved until it is, or its package is there no more."""
        causes = {digest: self._cause(fresh[digest], verdict, trusted) for digest, verdict in verdicts.items()}
        found = {_HEADER + digest: f"{_named(fresh[digest])}\t{cause}" for digest, cause in causes.items() if cause}
        present = {_HEADER + one.digest for one in self._state.held}
        looked_at = {_HEADER + digest for digest in fresh}
        held = self._store.flaws(_HEADER).keys()
        self._store.keep_flaws(
            found, [what for what in held if what not in present or what in looked_at - found.keys()]
        )

    def standing(self) -> tuple[str, ...]:
        """Return a sentence for each thing that could not be verified when it was last looked at, and was not since."""
        headers = self._store.flaws(_HEADER)
        keys = self._keys.flaws if any(_STRANGER in why for why in headers.values()) else ()
        history = (_HISTORY + self._history.flaw,) if self._history.flaw else ()
        return (*self._state.flaws, *keys, *_said(headers), *history, *self._unread)

    def _cause(self, one: Held, verdict: _Verdict, trusted: frozenset[str]) -> str:
        if verdict.signer:
            if verdict.signer in trusted:
                weak = self._weak(one)
                return f"says what its files hold by {weak} alone, which proves nothing" if weak else ""
            return f"is signed by keys that came later: {verdict.signer}"
        if verdict.altered:
            return "is altered in rpm's database"
        if verdict.stranger:
            inside = verdict.stranger in self._state.keys or verdict.stranger[-8:] in self._state.keys
            where = ", only in rpm's own database, which whoever alters packages can write" if inside else ""
            return f"is signed by the key {verdict.stranger}, {_STRANGER}{where}"
        if verdict.weak:
            return f"cannot be verified: {verdict.weak}"
        return "is not signed"

    def _weak(self, one: Held) -> str:
        """Return the digest by which a package says what its files hold, "" where it proves it, or where there are none."""
        algorithm = one.package.algorithm
        is_weak = algorithm in WEAK and any(each.digest and not each.ghost for each in self._files(one).values())
        return NAMES.get(algorithm, algorithm) if is_weak else ""

    def _taken(self) -> tuple[str, ...]:
        """Return what could not be read since this was last asked."""
        flaws, self._flaws = tuple(self._flaws), {}
        return flaws

    def _forget_unsigned(self) -> None:
        """Look again at headers that nothing signed, once there are other key files."""
        stamp = hashlib.sha256(repr(self._keys.stamp()).encode()).hexdigest()
        if self._store.fact("key_files") != stamp:
            self._store.note({}, [each for each, signed in self._store.seen().items() if not signed])
            self._store.keep("key_files", stamp)

    def _trusted(self, signers: set[str]) -> frozenset[str]:
        """Return the keys that count: all at the very first time, later those and what a person added."""
        held = self._store.keys()
        if not held and signers:
            self._store.trust(signers, "in a key file, and signing packages, when packages were first learnt")
            held = self._store.keys()
        return frozenset(held)

    def trust(self, fingerprints: Iterable[str], who: str) -> None:
        """Trust keys that came later; headers that they signed are looked at again."""
        self._store.trust(fingerprints, f"accepted by {who}")
        self._store.note({}, [stamp for stamp, signed in self._store.seen().items() if not signed])
        self._learnt = None

    def signers(self) -> dict[str, bool]:
        """Return the keys in key files, by fingerprint, and whether each is trusted; raises `Unavailable` without any."""
        found = self._keys.fingerprints()
        if not found:
            raise Unavailable(
                Why.NOT_PRESENT, "there is no key file of rpm's here", advice="install the distribution's"
            )
        trusted = self._store.keys()
        return {key: key in trusted for key in sorted(found)}

    def is_begun(self) -> bool:
        """Say whether a state of rpm's is kept as what was before."""
        return bool(self._store.fact("settled_ms"))

    def begin(self) -> None:
        """Read rpm's state and the runs since the files were last settled; raises `Unavailable` where it cannot be read."""
        self._state.refresh()
        self._present.clear()
        self.transactions = self._runs()
        before, now = self._store.versions(), rpm_runs.versions(one.package for one in self._state.held)
        run = {one.name for run in self.transactions if not run.told for one in run.packages}
        self._changed = run | {_name(key) for key, version in now.items() if before.get(key) != version}

    def has_news(self) -> bool:
        """Say whether a run is known that was not told."""
        self._state.refresh()
        return any(not run.told for run in self._runs())

    def logs(self) -> tuple[int, ...]:
        """Return a mark of rpm's database and dnf's history, another one after each change."""
        return (*self._state.stamp(), *self._history.stamp())

    def _runs(self) -> list[Transaction]:
        since = int(self._store.fact("settled_ms") or 0)
        if not since:
            return []
        told, now_ms = self._told(), self._now_ms()
        history = self._history.runs((min(since, now_ms) - LATE_MS) // 1000)
        if self._history.flaw:
            self._flaws[_HISTORY + self._history.flaw] = None
        fresh = rpm_runs.runs(
            [one.package for one in self._state.held],
            self._store.versions(),
            history,
            since,
            frozenset(run.id for run in told),
            self.is_busy(),
            now_ms,
        )
        late = [run for run in told if run.ended_ms >= now_ms - LATE_MS]
        return sorted([*late, *(replace(run, who=self._who(run.who)) for run in fresh)], key=lambda run: run.started_ms)

    def _told(self) -> list[Transaction]:
        """Return the runs that were told of late."""
        return _TOLD.decode(self._store.fact("told_runs") or "[]")

    def _who(self, number: str) -> str:
        """Return a user as the logs of apt name one: `ada (1000)`."""
        if not number:
            return ""
        lines = (self.read(b"/etc/passwd", 8 << 20) or b"").decode("utf-8", "replace").splitlines()
        names = (line.split(":") for line in lines)
        return next((f"{each[0]} ({number})" for each in names if len(each) > 2 and each[2] == number), number)

    def settle(self) -> None:
        """Keep rpm's present state as what was before: call it when the changes of runs were judged and stated.

        While a run is under way, what was before it stays so.
        """
        now_ms = self._now_ms()
        self._keep_told(now_ms)
        if self.is_busy() or any(not run.ended_ms for run in self.transactions):
            return
        before, now = self._store.versions(), rpm_runs.versions(one.package for one in self._state.held)
        touched = {one.name for run in self.transactions if not run.told for one in run.packages}
        if now == before and not touched and self.is_begun():
            return
        changed = touched | {_name(key) for key in {*before, *now} if before.get(key) != now.get(key)}
        self._store.settle(now, list(self._lists(changed)))
        self._store.keep("settled_ms", str(now_ms))
        installed = {(one.package.name, one.package.version) for one in self._state.held}
        self._store.drop(installed, now_ms - KEPT_MS)
        present = {one.digest for one in self._state.held}
        self._store.note({}, [each for each in self._store.seen() if each not in present])

    def _lists(self, names: Iterable[str]) -> Iterator[tuple[str, list[bytes]]]:
        """Yield the names that each package holds, those of every version and architecture together, and its ghosts apart."""
        for name in names:
            held = self._state.by_name.get(name, [])
            found = [each for one in held for each in self._files(one).values()]
            yield name, [each.shipped.path for each in found if not each.ghost]
            yield _GHOST + name, [each.shipped.path for each in found if each.ghost]

    def _files(self, one: Held) -> Mapping[bytes, RpmFile]:
        try:
            return self._state.files(one)
        except Malformed as error:
            self._flaws[error.message] = self._unread[error.message] = None
            return {}

    def _keep_told(self, now_ms: int) -> None:
        """Keep which runs were told, for as long as more of them may be found."""
        held = self._told()
        ended = {run.id: replace(run, told=True) for run in (*held, *self.transactions) if run.ended_ms}
        told = [run for run in ended.values() if run.ended_ms >= now_ms - 2 * LATE_MS]
        if told != held:
            self._store.keep("told_runs", msgspec.json.encode(told).decode())

    def _now_ms(self) -> int:
        return int(self._host.now().timestamp() * 1000)

    # What the judgement asks.

    def shipped(self, path: bytes) -> list[Shipment]:
        """Return what known headers ship under a name; a configuration file also lies there with `.rpmnew` behind its name."""
        names = self._names_of(path)
        if path.endswith(_NEW):
            former = path.removesuffix(_NEW)
            names += self._names_of(former) if any(one.config for one in self.listed(former)) else []
        found = [
            replace(one, installed=self._state.is_installed((one.package, one.version, one.architecture)))
            for name in names
            for one in self._store.shipped(name)
        ]
        return sorted(found, key=lambda one: not one.installed)

    def listed(self, path: bytes) -> list[Listing]:
        """Return what rpm's database lists under a path now; a header that was altered lists nothing."""
        names, altered, found = self._names_of(path), self._altered_ones(), []
        for name in self._owners(names):
            for one in self._state.by_name.get(name, ()):
                if one.digest in altered:
                    continue
                held = next((each for each in map(self._files(one).get, names) if each is not None), None)
                if held is not None and not held.ghost:
                    digest = held.digest if one.package.algorithm else ""
                    signed = self._store.is_signed(*one.package.identity)
                    found.append(Listing(name, digest, one.package.algorithm, held.config, signed))
        return found

    def _owners(self, names: list[bytes]) -> list[str]:
        """Return the packages that list one of the names now; asked of the last settled lists, and of those of changed packages."""
        held = {package for name in names for package in self._store.former(name) if not package.startswith(_GHOST)}
        for name in self._changed:
            if name not in self._present:
                mine = self._state.by_name.get(name, ())
                self._present[name] = frozenset(path for one in mine for path in self._files(one))
            held.discard(name)
            if any(each in self._present[name] for each in names):
                held.add(name)
        return sorted(name for name in held if name in self._state.by_name)

    def former(self, path: bytes) -> list[str]:
        """Return the packages that held the name when last settled; a ghost is held only until its package goes."""
        found = {package for name in self._names_of(path) for package in self._store.former(name)}
        gone = {each.removeprefix(_GHOST) for each in found if each.startswith(_GHOST)} - self._state.by_name.keys()
        return sorted({each for each in found if not each.startswith(_GHOST)} | gone)

    def scripts(self, package: str) -> str:
        """Return the scripts of the installed version, or of the last one that is known."""
        held = self._state.by_name.get(package)
        return self._store.scripts(package, held[-1].package.version if held else "")

    def copies(self, content: bytes, packages: frozenset[str]) -> str:
        """Return one path under which signed headers of the packages ship a content."""
        return self._store.copies(content, packages)

    def _names_of(self, path: bytes) -> list[bytes]:
        """Return the names under which a package may ship what stands at `path`."""
        if self._sbin and path.startswith(b"/usr/bin/"):
            name = path.removeprefix(b"/usr/bin")
            return [path, *(folder + name for folder in _BINS)]
        return self.unmerged(path)


def _is_comparable(one: Shipped) -> bool:
    """Say whether a content can be compared with ours, which is always SHA-256; others are compared as listed."""
    return bool(one.content) or not stat.S_ISREG(one.mode)


def _said(flaws: Mapping[str, str], only: Collection[str] | None = None) -> Iterator[str]:
    """Yield what could not be proved, one sentence a cause; of some headers `only`, by their digests."""
    by_cause: dict[str, list[str]] = {}
    for what, why in flaws.items():
        if only is None or what.removeprefix(_HEADER) in only:
            name, _, cause = why.partition("\t")
            by_cause.setdefault(cause, []).append(name)
    for cause, names in by_cause.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"{', '.join(sorted(names)[:_SHOWN])}{more} {cause}"


def _named(one: Held) -> str:
    return f"{one.package.name} {one.package.version}"


def _name(key: str) -> str:
    return key.rpartition(":")[0]
