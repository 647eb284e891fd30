"""What is said of runs of package tools: one event a run, and a word when a signing key is new."""

from analysis.integrity.folding import Fold, summary
from contracts.event import Event, Kind, Severity
from contracts.provenance import Level
from contracts.text import escape

_FIELDS = {
    "tool": "str",
    "packages": "list",
    "files": "int",
    "proved": "int",
    "products": "int",
    "unproved": "int",
    "paths": "list",
    "who": "str",
    "command": "str",
    "what": "str",
    "unfinished": "str",
}

TRANSACTION = Kind(
    name="integrity.transaction",
    meaning="A run of a package tool changed watched files, and each is what signed packages ship or what their scripts write.",
    title="{what}, {files} files",
    severity=Severity.INFORMATIONAL,
    fields=_FIELDS,  # type: ignore[arg-type]
    ocsf_class=5019,
)
TRANSACTION_UNPROVED = Kind(
    name="integrity.transaction_unproved",
    meaning="A run of a package tool changed watched files that only the package's own list accounts for, which nobody signed.",
    title="{what}, {files} files, {unproved} of them unproved",
    severity=Severity.MEDIUM,
    fields=_FIELDS,  # type: ignore[arg-type]
    attack=("T1554",),
    advice="Put the archives into a folder named under collectors.integrity.packages.archives, so that they can be compared;"
    " with rpm, the public key of who made them into /etc/pki/rpm-gpg.",
    ocsf_class=5019,
)
KEY_NEW = Kind(
    name="integrity.package_key_new",
    meaning="Packages are signed by a key that was not trusted when packages were first learnt; what it signs counts as unproved.",
    title="Packages signed by a new key: {key}",
    severity=Severity.HIGH,
    fields={"what": "str"},
    attack=("T1553.004",),
    advice="Compare the key with its owner's, then accept it with `holdfast integrity accept --key FINGERPRINT --why TEXT`.",
)
KEY_ACCEPTED = Kind(
    name="integrity.package_key_accepted",
    meaning="A person accepted a key: packages that it signs are proved by it from now on.",
    title="{who} accepted the key {key} for packages: {reason}",
    severity=Severity.MEDIUM,
    fields={"who": "str", "reason": "str"},
    attack=("T1553.004",),
    advice="If nobody should have, look at who may use the agent's control socket, and at what this key signed.",
)
HEADER_ALTERED = Kind(
    name="integrity.package_header_altered",
    meaning="rpm's database holds a package whose header is not what its makers signed: digests or names in it were changed.",
    title="The record of {key} in rpm's database was altered: {what}",
    severity=Severity.HIGH,
    fields={"what": "str"},
    attack=("T1554",),
    advice="Compare the package's files with a freshly fetched rpm; `rpm -V` believes the altered record.",
)
KINDS = (TRANSACTION, TRANSACTION_UNPROVED, KEY_NEW, HEADER_ALTERED)


def transaction_event(fold: Fold) -> Event:
    """Return the one event of a run."""
    run, levels = fold.transaction, fold.levels
    unproved = levels.get(Level.LISTED, 0) + levels.get(Level.RECORDED, 0)
    kind = TRANSACTION if fold.proved else TRANSACTION_UNPROVED
    severity = max(kind.severity, Severity.MEDIUM) if run.unfinished or fold.downgrades else kind.severity
    return kind.event(
        run.id,
        severity=severity,
        observed_ms=run.ended_ms or run.started_ms,
        evidence={escape(path): basis for path, basis in fold.unproved},
        what=summary(run),
        tool=run.tool,
        packages=[f"{one.name} {one.before or '-'} {one.after or '-'}" for one in run.packages[:200]],
        files=fold.files,
        proved=sum(levels.get(level, 0) for level in (Level.SIGNED, Level.DERIVED, Level.REMOVED)),
        products=levels.get(Level.PRODUCT, 0),
        unproved=unproved,
        paths=[escape(path) for path, _ in fold.unproved],
        who=run.who or None,
        command=run.command[:500] or None,
        unfinished=run.unfinished[:500] or None,
    )
