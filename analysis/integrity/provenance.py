"""Judges what accounts for one change: a signed package, a list, a product of the transaction, a record, or nothing. Pure."""

import re
import stat

from analysis.integrity.products import product
from analysis.integrity.records import recorded
from analysis.integrity.script_names import names
from contracts.file_change import MODE, OWNER, SETUID, Change
from contracts.provenance import NAMES, WEAK, Knowledge, Level, Listing, Provenance, Shipment, Transaction
from contracts.trees import Node

_PERMISSIONS = 0o7777
_NAMES = re.compile(rb"/var/lib/dpkg/info/[^/]+\.list")


def judge(change: Change, known: Knowledge) -> Provenance:
    """Return what accounts for `change`; `Level.NONE` when nothing does."""
    if change.after is None:
        return _gone(change, known)
    shipments = [one for one in known.shipped(change.path) if one.signed_by]
    signed = _signed(change, change.after, shipments, known)
    if signed is not None and (signed.level is not Level.NONE or signed.contradicts):
        return _or_product(change, signed, known)
    if stat.S_ISDIR(change.after.mode) and (folder := _folder(change, known)) is not None:
        return folder
    listed = _listed(change, change.after, known)
    if listed is not None:
        return listed
    found = product(change, known) or recorded(change, known)
    return found or signed or Provenance(basis="no package ships it, lists it or makes it")


def transaction_of(package: str, known: Knowledge) -> Transaction | None:
    """Return the latest run that changed a package, None when none did."""
    for run in reversed(known.transactions):
        if any(one.name == package for one in run.packages):
            return run
    return None


def _or_product(change: Change, signed: Provenance, known: Knowledge) -> Provenance:
    """Of what contradicts its package two things may be excused: dpkg's own list, which also keeps names of former versions, and what
    it had not unpacked to its end.
    """
    if not signed.contradicts:
        return signed
    if change.path.endswith((b".dpkg-new", b".dpkg-tmp")):
        return product(change, known) or signed
    found = product(change, known) if _NAMES.fullmatch(change.path) else None
    return found if found is not None and found.level is Level.DERIVED else signed


def _gone(change: Change, known: Knowledge) -> Provenance:
    """Judge a deletion: accounted for when a run took it from every package that held it."""
    for package in known.former(change.path):
        run = transaction_of(package, known)
        if run is None:
            continue
        if any(one.installed for one in known.shipped(change.path)) or known.listed(change.path):
            return Provenance(
                basis=f"an installed package still ships it ({package})", package=package, contradicts=True
            )
        deed = next(one for one in run.packages if one.name == package)
        basis = f"{package} no longer ships it" if deed.after else f"{package} was removed"
        return Provenance(level=Level.REMOVED, basis=basis, package=package, version=deed.after, transaction=run.id)
    found = product(change, known)
    if found is not None:
        return found
    holder = next((one for one in known.shipped(change.path) if one.installed), None)
    if holder is not None:
        basis = f"{holder.package} {holder.version} is installed and ships it"
        return Provenance(basis=basis, package=holder.package, version=holder.version, contradicts=True)
    return Provenance(basis="no run of a package tool took it away")


def _signed(change: Change, node: Node, shipments: list[Shipment], known: Knowledge) -> Provenance | None:
    """Compare with what signed archives ship; None when none of them ships such a name."""
    installed = [one for one in shipments if one.installed]
    for one in installed:
        if _same_content(node, one):
            return _as_shipped(change, node, one, known)
    kept = next((one for one in shipments if not one.installed and _was_left(one, change.path, known)), None)
    if kept is not None and _same_content(node, kept):
        return _as_shipped(change, node, kept, known)
    stale = next((one for one in shipments if not one.installed and _same_content(node, one)), None)
    if stale is not None and not stat.S_ISDIR(node.mode):
        held = f"; installed is {installed[0].version}" if installed else ""
        basis = f"it is what {stale.package} {stale.version} shipped, which is not installed{held}"
        return Provenance(basis=basis, package=stale.package, version=stale.version, contradicts=bool(installed))
    if not installed:
        return None
    one = installed[0]
    if node.flaw and not node.content and stat.S_ISREG(node.mode):
        return Provenance(basis=f"{one.package} ships it, and it could not be read: {node.flaw}", package=one.package)
    if _is_config(change.path, known):
        basis = f"a configuration file of {one.package}, not as it ships it"
        return Provenance(basis=basis, package=one.package, version=one.version)
    basis = f"{one.package} {one.version} ships something else under this name (signed by {one.signed_by[-16:]})"
    return Provenance(basis=basis, package=one.package, version=one.version, contradicts=True)


def _was_left(one: Shipment, path: bytes, known: Knowledge) -> bool:
    """Say whether it is a configuration file of a package that a run has removed but not purged: its script may take a mode away."""
    run = transaction_of(one.package, known)
    if run is None or not _is_config(path, known):
        return False
    return any(each.name == one.package and not each.after and each.before == one.version for each in run.packages)


def _same_content(node: Node, one: Shipment) -> bool:
    kind = stat.S_IFMT(node.mode)
    if kind != stat.S_IFMT(one.file.mode):
        return False
    if kind == stat.S_IFREG:
        return bool(node.content) and node.content == one.file.content
    return kind != stat.S_IFLNK or node.target == one.file.target


def _as_shipped(change: Change, node: Node, one: Shipment, known: Knowledge) -> Provenance:
    run = transaction_of(one.package, known)
    off = _permissions_off(change, node, one, known)
    if off and not (run and _script_names(change.path, one.package, known)):
        basis = f"content as {one.package} {one.version} ships it, but {off}"
        return Provenance(basis=basis, package=one.package, version=one.version, contradicts=True)
    said = f", {off}, as its signed script sets it" if off else ""
    return Provenance(
        level=Level.SIGNED,
        basis=f"as {one.package} {one.version} ships it, signed by {one.signed_by[-16:]}{said}",
        package=one.package,
        version=one.version,
        transaction=run.id if run else "",
    )


def _permissions_off(change: Change, node: Node, one: Shipment, known: Knowledge) -> str:
    """Say how mode, owner or capabilities differ from the shipped ones, "" when they do not or nobody changed them now."""
    if stat.S_ISLNK(node.mode):
        return ""
    before = change.before
    same_kind = before is not None and stat.S_IFMT(before.mode) == stat.S_IFMT(node.mode)
    shipped = one.file.mode & _PERMISSIONS
    now = node.mode & _PERMISSIONS
    if now != shipped and not (same_kind and before is not None and before.mode & _PERMISSIONS == now):
        return f"with mode {now:04o} where it ships {shipped:04o}"
    uid, gid = known.account(one.file.owner, one.file.group)
    wanted = (one.file.uid if uid is None else uid, one.file.gid if gid is None else gid)
    held = (node.uid, node.gid)
    if held != wanted and not (same_kind and before is not None and (before.uid, before.gid) == held):
        return f"owned by {held[0]}:{held[1]} where it ships {wanted[0]}:{wanted[1]}"
    shipped_ones, is_kept = one.file.capabilities, same_kind and before is not None
    if node.capabilities != shipped_ones and not (is_kept and before and before.capabilities == node.capabilities):
        return (
            "with other file capabilities than it ships"
            if shipped_ones
            else "with file capabilities, which it ships none of"
        )
    return ""


def _script_names(path: bytes, package: str, known: Knowledge) -> bool:
    """Say whether the package's signed scripts name the path, under any of the names that a merged folder gives it."""
    script = known.scripts(package)
    if not script:
        return False
    text = path.decode("utf-8", "surrogateescape")
    known_as = [text, text.removeprefix("/usr")] if text.startswith("/usr/") else [text]
    return any(names(script, name) for name in known_as)


def _folder(change: Change, known: Knowledge) -> Provenance | None:
    """A folder that a run's package lists: its name says all, its mode is compared by `_signed` where an archive is known."""
    if set(change.kinds) & {MODE, OWNER, SETUID} and change.before is not None:
        return None
    for one in known.listed(change.path):
        run = transaction_of(one.package, known)
        if run is not None:
            basis = f"a folder that {one.package} lists"
            return Provenance(level=Level.LISTED, basis=basis, package=one.package, transaction=run.id)
    return None


def _listed(change: Change, node: Node, known: Knowledge) -> Provenance | None:
    """Compare with the package's own list; None when no list has the name."""
    listings = known.listed(change.path)
    if not listings:
        return None
    for one in listings:
        equal = _as_listed(change, node, one, known)
        if equal is None:
            continue
        run = transaction_of(one.package, known)
        version = next((each.after for each in run.packages if each.name == one.package), "") if run else ""
        if not equal:
            whose = "its signed header" if one.signed else "the package's own list"
            what = "a configuration file, not as listed" if one.config else f"it is not what {whose} says"
            found = None if one.config is False else product(change, known)
            return found or Provenance(basis=f"{one.package}: {what}", package=one.package, contradicts=not one.config)
        return Provenance(
            level=Level.LISTED,
            basis=_as_said(one),
            package=one.package,
            version=version,
            transaction=run.id if run else "",
        )
    return None


def _as_said(one: Listing) -> str:
    """Say what a file equals that is as listed, and why that is no proof."""
    if not one.signed:
        return f"as the list of {one.package} says, which nobody signed"
    digest = NAMES.get(one.algorithm, one.algorithm)
    if one.algorithm in WEAK:
        return f"as the signed header of {one.package} says, but by {digest} alone, which can be forged"
    return f"as the signed header of {one.package} says by {digest}, compared with what lies there now"


def _as_listed(change: Change, node: Node, one: Listing, known: Knowledge) -> bool | None:
    """Say whether the present file is as listed; None when the list states nothing that could be compared."""
    if stat.S_ISREG(node.mode) and node.mode & 0o6000 and (change.before is None or change.before.mode != node.mode):
        return False
    if not stat.S_ISREG(node.mode):
        return True if stat.S_ISLNK(node.mode) and not one.digest else None
    if not one.digest:
        return None
    found = known.digest(change.path, one.algorithm)
    return found == one.digest if found else None


def _is_config(path: bytes, known: Knowledge) -> bool:
    return any(one.config for one in known.listed(path))
