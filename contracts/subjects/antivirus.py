"""The subjects of antivirus: `antivirus`, what products there are and how their signatures are; `antivirus.runs`, what was done last
(updates, scans, proofs) and what is known to be current; `antivirus.state`, what of it is not as it should be.

The collector keeps the first (key: the product), the core the second from the events of the deeds, the judge the third.
"""

from contracts.record import Record

SUBJECT = "antivirus"
RUNS = "antivirus.runs"
STATES = "antivirus.state"

CURRENT = "antivirus.current_learnt"
UPDATED = "antivirus.signatures_updated"
UPDATE_FAILED = "antivirus.update_failed"
UPDATE_HELD = "antivirus.update_held_back"
SCANNED = "antivirus.scanned"
SCAN_FAILED = "antivirus.scan_failed"
FOUND = "antivirus.malware_found"
PLANTED = "antivirus.proof_planted"
PROVED = "antivirus.proved"
MISSED = "antivirus.proof_missed"
QUARANTINED = "antivirus.quarantined"
RESTORED = "antivirus.quarantine_restored"
DELETED = "antivirus.quarantine_deleted"
CLAMAV = "clamav"
"""The key of ClamAV."""


class Database(Record, omit_defaults=True):
    """One file of signatures. Times in Unix ms, 0 for not known; `bytes` its size.

    `form` is its suffix (cvd, cld, cud, hdb, ndb, yar …). `signed` is `verified` (the product's own tool checked the digital signature),
    `unchecked` (it bears one that nobody here could check), `unsigned`, or `bad`. `flaw` says why it cannot be used, "" when it can.
    """

    name: str
    form: str
    version: int = 0
    built_ms: int = 0
    signatures: int = 0
    level: int = 0
    builder: str = ""
    signed: str = "unsigned"
    flaw: str = ""
    bytes: int = 0
    changed_ms: int = 0
    """When the file was last changed."""
    inode: int = 0

    @property
    def official(self) -> bool:
        """Whether it is one that ClamAV's makers publish, by its name and form."""
        return self.name in ("main", "daily", "bytecode") and self.form in ("cvd", "cld", "cud")


class Updater(Record, omit_defaults=True):
    """What brings new signatures. `state` is `running`, `scheduled`, `stopped`, `missing` or `unknown`; `trouble` its last complaint.

    `retry_after_ms` is until when the servers asked to be left alone, 0 for not at all; `waked_ms` when it last wrote its log.
    """

    state: str = "unknown"
    detail: str = ""
    trouble: str = ""
    retry_after_ms: int = 0
    waked_ms: int = 0


class Limits(Record, omit_defaults=True):
    """Up to where ClamAV looks, in bytes; 0 for no limit. Beyond it answers that a file is clean, unless `alerts` is set.

    `known` is false where its configuration could not be read.
    """

    known: bool = False
    alerts: bool = False
    file_bytes: int = 0
    scan_bytes: int = 0
    stream_bytes: int = 0
    files: int = 0
    recursion: int = 0


class Product(Record, omit_defaults=True):
    """One antivirus product. Times in Unix ms, 0 for not known; versions -1 for not known.

    `built_ms` and `version` are those of the signatures on the disk, `loaded_version` and `loaded_ms` those that its daemon works with.
    `daemon` is `answers`, `silent`, `none` or `unknown`. `unknown` holds what could not be looked at: nothing is concluded from that.
    """

    name: str
    provider: str
    engine: str = ""
    version: int = -1
    built_ms: int = 0
    loaded_version: int = -1
    loaded_ms: int = 0
    daemon: str = "none"
    daemon_detail: str = ""
    address: str = ""
    updater: Updater = Updater()
    databases: tuple[Database, ...] = ()
    limits: Limits = Limits()
    protects: bool | None = None
    """What the product itself says of its realtime protection; None where it says nothing of that."""
    warn_s: float = 86400.0
    critical_s: float = 259200.0
    unknown: tuple[str, ...] = ()


class Done(Record, omit_defaults=True):
    """What was done last of one kind (key: `update`, `scan`, `proof`, `quarantine`, or `current/` and the source). Times in Unix ms.

    `state` is how it ended, in one word; `version` and `built_ms` speak of the newest signatures where they are known.
    """

    what: str
    at_ms: int
    state: str
    detail: str = ""
    version: int = -1
    numbers: dict[str, float] = {}
    valid_s: float = 0.0
    """How long it counts; 0 where nothing is said of that."""


class Finding(Record, omit_defaults=True):
    """Something that is not as it should be: `kind` of the event that states it, `severity` as in OCSF, since when."""

    product: str
    kind: str
    severity: int
    detail: str
    since_ms: int = 0
