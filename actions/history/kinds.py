"""What the history of configuration says."""

from contracts.event import Kind, Severity

ROLLED_BACK = Kind(
    name="integrity.rolled_back",
    meaning="A file of the configuration was put back to a version of the history, by whom and why.",
    title="{key} was put back to the version of {version} by {who}: {why}",
    severity=Severity.MEDIUM,
    fields={"version": "str", "former": "str", "who": "str", "why": "str", "detail": "str"},
    advice="The version that was there is kept: `holdfast integrity history PATH` lists it.",
    ocsf_class=5019,
)
DAMAGED = Kind(
    name="integrity.history_damaged",
    meaning="A version of the history is not what was kept: it was changed, moved or made with another key.",
    title="The history of {key} is damaged: {detail}",
    severity=Severity.HIGH,
    fields={"detail": "str"},
    attack=("T1070",),
    advice="Look at who could write into the steward's folder, and take the configuration from a backup.",
)
NOT_KEPT = Kind(
    name="integrity.history_incomplete",
    meaning="Some watched files have no new version in the history, because they could not be read.",
    title="{count} files have no new version in the history: {detail}",
    severity=Severity.LOW,
    fields={"count": "int", "detail": "str", "paths": "list"},
    advice="See `history.file_below` and the rights of the steward worker.",
)
