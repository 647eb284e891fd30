"""The subject `holdings`: what this host holds that is worth a backup; and `backup.gaps`: what of it no job covers.

Keys: `PART KIND PLACE` of a holding, the same for a gap. A part that could not be looked at wholly has a row of kind `unknown`.
"""

from contracts.record import Record

SUBJECT = "holdings"
GAPS = "backup.gaps"

UNKNOWN = "unknown"


class Holding(Record, omit_defaults=True):
    """One thing. Paths in `contracts.text.escape` form.

    `part` is who found it (`databases`, `mounts`, `volumes`, `places`), `kind` is `database`, `mount`, `volume`, `settings`,
    `scheduled`, `units`, `packages`, `home`, `data`, or `unknown` for a part that was not wholly seen, with `detail` why. `path` is where
    it lies, "" when not known. `product`, `port`, `socket`, `container` and `running` speak of databases; `fs` is a file system's type.
    """

    part: str
    kind: str
    name: str
    path: str = ""
    detail: str = ""
    product: str = ""
    port: int = 0
    socket: str = ""
    container: str = ""
    running: bool = False
    fs: str = ""
    size: int = 0
    """Bytes, where `path` is one file."""
    tags: tuple[tuple[str, str], ...] = ()
    """Directories that hold it (or that it is) with a file by which backups leave directories out, each with the entry that names it."""

    @property
    def key(self) -> str:
        """Its key in the subject."""
        return f"{self.part} {self.kind} {self.path or self.name}"


class Gap(Record, omit_defaults=True):
    """Something that no job covers as it should.

    `state`: `missing`, `excluded` (a pattern leaves it out), `other file system`, `partly`, `files only` (a running database whose files
    are saved while it writes), `on purpose` (the settings say why), `not known`. `reason` says it in words, `settings` are YAML that
    would cover it.
    """

    kind: str
    name: str
    state: str
    reason: str
    path: str = ""
    job: str = ""
    settings: str = ""
    since_ms: int = 0
