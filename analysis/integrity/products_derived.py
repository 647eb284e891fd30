"""Rules that make a product anew, or check each entry of it: linker cache, alternatives, links of units, compiled Python, accounts. Pure.

Each takes a change, the run and what is known, and returns None where it does not apply or the product does not follow.
"""

import re
import stat
import struct
from collections.abc import Callable, Iterator

from analysis.integrity.accounts_by_script import account_product
from analysis.integrity.python_bytecode import same_code
from contracts.file_change import Change
from contracts.provenance import Knowledge, Level, Provenance, Transaction

Rule = Callable[[Change, Transaction, Knowledge], Provenance | None]
_MOST = 16 << 20
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = 48
_CACHE_ENTRY = struct.Struct("<iIIIQ")
_MERGED = (b"/bin/", b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/", b"/libx32/")
_PYC = re.compile(rb"(.*)/__pycache__/([^/]+)\.cpython-\d+(?:\.opt-(\d))?\.pyc")
_UNIT_LINK = re.compile(rb"/etc/systemd/(?:system|user)/(?:([^/]+)\.(wants|requires|upholds)/)?([^/]+)")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def _derived(basis: str, run: Transaction, package: str = "") -> Provenance:
    return Provenance(level=Level.DERIVED, basis=basis, package=package, transaction=run.id)


def is_signed(path: bytes, known: Knowledge) -> str:
    """Return the installed package whose signed archive ships the present content of `path`, "" for none."""
    node = known.node(path)
    if node is None:
        return ""
    for one in known.shipped(path):
        same = node.content == one.file.content and node.target == one.file.target
        if one.installed and one.signed_by and same and stat.S_IFMT(node.mode) == stat.S_IFMT(one.file.mode):
            return one.package
    return ""


def _dead_link(change: Change, run: Transaction, known: Knowledge, basis: str) -> Provenance | None:
    """A link that went: accounted for when what it led to is gone, too."""
    before = change.before
    if before is None or not stat.S_ISLNK(before.mode):
        return None
    return _derived(basis, run) if known.node(resolved(change.path, before.target)) is None else None


def resolved(link: bytes, target: bytes) -> bytes:
    """Return where a link's target stands, by its words alone: from the root, without `..`, after the merge of /bin and the like."""
    if not target.startswith(b"/"):
        parts = (link.rpartition(b"/")[0] + b"/" + target).split(b"/")
        while b".." in parts[1:]:
            at = parts.index(b"..")
            del parts[max(1, at - 1) : at + 1]
        target = b"/".join(part for number, part in enumerate(parts) if part != b"." or not number)
    return _merged(target)


def _linker_cache(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """/etc/ld.so.cache: every library it names lies in a folder that the linker's settings name, which packages ship (ldconfig(8))."""
    content = known.read(change.path, _MOST)
    if content is None:
        return None
    try:
        libraries = {_merged(path) for path in cached_libraries(content)}
    except (struct.error, ValueError, IndexError):
        return None
    wrong = sorted(path for path in libraries if known.node(path) is None or not _is_held(path, known))
    if wrong or not libraries:
        return None
    return _derived(f"each of its {len(libraries)} libraries is one that a package holds", run, "libc-bin")


def cached_libraries(content: bytes) -> Iterator[bytes]:
    """Yield the paths that a linker cache names (glibc, `cache_file_new`); raises `ValueError` or `struct.error` for another format."""
    start = content.find(_CACHE_MAGIC)
    if start < 0:
        raise ValueError("no cache of glibc's format 1.1")
    count, _strings = struct.unpack_from("<II", content, start + len(_CACHE_MAGIC))
    for number in range(count):
        _flags, _key, value, _version, _hwcap = _CACHE_ENTRY.unpack_from(
            content, start + _CACHE_HEADER + number * _CACHE_ENTRY.size
        )
        end = content.index(b"\0", start + value)
        yield content[start + value : end]


def _is_held(path: bytes, known: Knowledge) -> bool:
    """Say whether packages hold the library: listed, or a link beside it (made by ldconfig) to one that is."""
    if known.listed(path) or any(one.installed for one in known.shipped(path)):
        return True
    node = known.node(path)
    if node is None or not stat.S_ISLNK(node.mode) or b"/" in node.target:
        return False
    beside = path.rpartition(b"/")[0] + b"/" + node.target
    return bool(known.listed(beside)) or any(one.installed for one in known.shipped(beside))


def _library_link(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A link libX.so.N that ldconfig makes beside the library whose name begins so."""
    node = change.after
    if node is None or not stat.S_ISLNK(node.mode) or b"/" in node.target:
        return None
    folder, _, name = change.path.rpartition(b"/")
    if not node.target.startswith(name.rpartition(b".so")[0] + b".so") and not node.target.startswith(
        name.partition(b".so")[0]
    ):
        return None
    package = is_signed(folder + b"/" + node.target, known)
    return _derived(f"ldconfig's link to a library of {package}", run, package) if package else None


def _alternative(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A link that update-alternatives keeps: it leads to a choice of its admin file that a package holds (update-alternatives(1))."""
    if change.after is None:
        gone = _dead_link(change, run, known, "a link of update-alternatives whose choice is gone")
        if gone is None and change.path.startswith(b"/etc/alternatives/") and not _is_offered(change.path, known):
            return _derived("a link of update-alternatives that it keeps no longer", run)
        return gone
    if not stat.S_ISLNK(change.after.mode):
        return None
    target = change.after.target
    if not _is_offered(change.path, known):
        return None
    if not change.path.startswith(b"/etc/alternatives/"):
        if not target.startswith(b"/etc/alternatives/") or b"/" in target.removeprefix(b"/etc/alternatives/"):
            return None
        link = known.node(target)
        if link is None or not stat.S_ISLNK(link.mode):
            return None
        target = link.target
    held = next(iter(_holders(_merged(target), known)), "")
    return _derived(f"update-alternatives' link to a file of {held}", run, held) if held else None


def _is_offered(path: bytes, known: Knowledge) -> bool:
    """Say whether an admin file of update-alternatives has the name, as its own or as a slave's; a generic link by its whole path."""
    folder, name = b"/var/lib/dpkg/alternatives", path.rpartition(b"/")[2]
    inside = path.startswith(b"/etc/alternatives/")
    names = {name} if inside else {path, path.removeprefix(b"/usr")}
    for each in known.names(folder):
        if (inside and each == name) or names & set((known.read(folder + b"/" + each, 1 << 20) or b"").split(b"\n")):
            return True
    return False


def _holders(path: bytes, known: Knowledge) -> list[str]:
    """Return the packages that hold a path."""
    shipped = [one.package for one in known.shipped(path) if one.installed]
    return shipped or [one.package for one in known.listed(path)]


def _alternatives_file(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """An admin file of update-alternatives: every path that it offers is one that a package holds."""
    if change.after is None:
        link = known.node(b"/etc/alternatives/" + change.path.rpartition(b"/")[2])
        return _derived("the choices of a name that has none any more", run) if link is None else None
    content = known.read(change.path, 1 << 20)
    if content is None:
        return None
    paths = [line for line in content.split(b"\n") if line.startswith(b"/")]
    links = set(_links(content))
    strange = [path for path in paths if path not in links and not _holders(path, known)]
    return _derived("every choice in it is a file of a package", run) if paths and not strange else None


def _links(content: bytes) -> Iterator[bytes]:
    """Yield the generic names: the line after the status, and each second line of the slaves, up to the first empty line."""
    head = content.split(b"\n\n", 1)[0].split(b"\n")
    yield from head[1:2]
    yield from head[3::2]


def _unit_link(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A link that enables a unit: it leads to a unit file that a package ships signed, and whose [Install] asks for this place."""
    if change.after is None:
        return _dead_link(change, run, known, "a link to a unit that is gone")
    match = _UNIT_LINK.fullmatch(change.path)
    if match is None or not stat.S_ISLNK(change.after.mode):
        return None
    target = _merged(change.after.target)
    package = is_signed(target, known)
    unit = known.read(target, 1 << 20) if package else None
    if unit is None:
        return None
    place, kind, name = match.groups()
    keys = (b"Alias",) if place is None else ((kind or b"").removesuffix(b"s").capitalize() + b"edBy",)
    if kind == b"wants":
        keys = (b"WantedBy",)
    asked = b" ".join(
        line.partition(b"=")[2] for line in unit.splitlines() if line.partition(b"=")[0].strip() in keys
    ).split()
    if (place or name) not in asked and not (place or b"").startswith(b"getty@"):
        return None
    return _derived(f"enables a unit of {package} where the unit asks for it", run, package)


def _merged(path: bytes) -> bytes:
    return b"/usr" + path if path.startswith(_MERGED) else path


def _rc_link(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """/etc/rcN.d/S01name: update-rc.d's link to a script in init.d that a package ships."""
    if change.after is None:
        return _dead_link(change, run, known, "a link to an init script that is gone")
    if not stat.S_ISLNK(change.after.mode) or not change.after.target.startswith(b"../init.d/"):
        return None
    script = b"/etc/init.d/" + change.after.target.removeprefix(b"../init.d/")
    package = is_signed(script, known)
    return _derived(f"update-rc.d's link to an init script of {package}", run, package) if package else None


def _compiled(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """Compiled Python: made again from its source, which a signed package ships, and found to be the same code (PEP 3147, 552)."""
    match = _PYC.fullmatch(change.path)
    if match is None:
        return None
    source = match[1] + b"/" + match[2] + b".py"
    if change.after is None:
        return _derived("compiled Python that went with its source", run) if known.node(source) is None else None
    package = is_signed(source, known)
    if not package or change.after.mode & 0o111:
        return None
    text, compiled = known.read(source, 4 << 20), known.read(change.path, 8 << 20)
    if text is None or compiled is None:
        return None
    level = same_code(compiled, text, source.decode("utf-8", "surrogateescape"), int(match[3] or 0))
    if level is None:
        basis = f"compiled from a signed source of {package} by another Python than ours: not compared"
        return Provenance(level=Level.PRODUCT, basis=basis, package=package, transaction=run.id)
    return (
        _derived(f"compiled again from its signed source of {package}, and the same", run, package) if level else None
    )


def _certificate(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """/etc/ssl/certs: links to signed certificates, links among themselves, and the bundle of them (update-ca-certificates(8))."""
    node = change.after
    if node is None:
        return _dead_link(change, run, known, "a link to a certificate that is gone")
    if stat.S_ISLNK(node.mode):
        target = node.target if node.target.startswith(b"/") else b"/etc/ssl/certs/" + node.target
        if target.startswith(b"/etc/ssl/certs/") and (link := known.node(target)) is not None and link.target:
            target = link.target
        package = is_signed(target, known)
        return _derived(f"a link to a certificate of {package}", run, package) if package else None
    content = known.read(change.path, _MOST)
    if content is None or not change.path.endswith(b"/ca-certificates.crt"):
        return None
    trusted = {_body(text) for text in _trusted(known)}
    held = {_body(text) for text in _PEM.findall(content)}
    return (
        _derived(f"the {len(held)} certificates in it are signed packages' own", run)
        if held and held <= trusted
        else None
    )


def _trusted(known: Knowledge) -> Iterator[bytes]:
    for name in known.names(b"/etc/ssl/certs"):
        link = known.node(b"/etc/ssl/certs/" + name)
        if (
            link is not None
            and link.target.startswith(b"/usr/share/ca-certificates/")
            and is_signed(link.target, known)
        ):
            yield from _PEM.findall(known.read(link.target, 1 << 20) or b"")


def _body(pem: bytes) -> bytes:
    return b"".join(pem.split())


def _former_copy(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A copy beside a file: what it was before (`-`, `.dpkg-old`), or what the package ships (`.dpkg-dist`, `.ucf-dist`)."""
    node = change.after
    if node is None:
        return _derived("a copy that a package tool had left, and took away", run)
    base = re.sub(rb"(\.dpkg-(old|dist|new|tmp|bak)|\.ucf-(old|dist|new)|-)$", b"", change.path)
    for one in known.shipped(base):
        if one.signed_by and node.content and one.file.content == node.content and not node.mode & 0o6000:
            return _derived(
                f"a copy of what {one.package} {one.version} ships under the name without its ending", run, one.package
            )
    return None


def _list_file(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """dpkg's own list of a package: names that its signed archive has, and nothing else."""
    name = change.path.rpartition(b"/")[2].decode("ascii", "replace")
    package = name.partition(":")[0].rpartition(".")[0] if ":" not in name else name.partition(":")[0]
    if change.after is None:
        gone = any(one.name == package and not one.after for one in run.packages)
        replaced = any(one.name == package for one in run.packages)
        return _derived(f"dpkg's files about {package}", run, package) if gone or replaced else None
    about = known.shipped(change.path.rpartition(b".")[0] + b".list")
    came = any(one.name == package and one.after for one in run.packages)
    if came and not any(one.signed_by and one.installed for one in about):
        basis = f"dpkg's files about {package}, whose archive is not known"
        return Provenance(level=Level.LISTED, basis=basis, package=package, transaction=run.id)
    if not name.endswith(".list") or change.after.mode & 0o111:
        return None
    content = known.read(change.path, _MOST)
    if content is None:
        return None
    for line in content.split(b"\n"):
        if line and line != b"/." and not _lists(line, package, known):
            return None
    return _derived(f"the names that the signed archive of {package} has", run, package)


def _lists(path: bytes, package: str, known: Knowledge) -> bool:
    if any(one.package == package and one.signed_by for one in known.shipped(path)):
        return True
    return any(former == package for former in known.former(path))  # obsolete configuration files stay listed


def _accounts(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    if change.old is None or change.new is None:
        return None
    names = account_product(
        change.path, change.old, change.new, [(one.name, known.scripts(one.name)) for one in run.packages]
    )
    if not names:
        return None
    basis = f"adds system accounts that the signed scripts of its packages name: {', '.join(names)}"
    return _derived(basis, run)


DERIVED_RULES: tuple[tuple[re.Pattern[bytes], Rule], ...] = (
    (re.compile(rb"/etc/ld\.so\.cache"), _linker_cache),
    (re.compile(rb"/usr/lib/.*/[^/]+\.so\.[^/]*|/usr/lib/[^/]+\.so\.[^/]*"), _library_link),
    (re.compile(rb"/var/lib/dpkg/alternatives/[^/]+"), _alternatives_file),
    (re.compile(rb"/etc/alternatives/[^/]+|/usr/.*"), _alternative),
    (re.compile(rb"/etc/systemd/(system|user)/.+"), _unit_link),
    (re.compile(rb"/etc/rc[0-6S]\.d/[SK]\d\d[^/]+"), _rc_link),
    (re.compile(rb".*\.pyc"), _compiled),
    (re.compile(rb"/etc/ssl/certs/[^/]+"), _certificate),
    (re.compile(rb".*(\.dpkg-(old|dist|new|tmp|bak)|\.ucf-(old|dist|new))"), _former_copy),
    (re.compile(rb"/var/lib/dpkg/info/[^/]+"), _list_file),
    (re.compile(rb"/etc/(passwd|group|shadow|gshadow|subuid|subgid)"), _accounts),
)
