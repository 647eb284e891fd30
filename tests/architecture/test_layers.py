"""Imports point down, siblings are strangers, libraries enter by few doors, and nothing goes in a circle."""

import sys
from pathlib import Path
from typing import Any

OURS = ("contracts", "settings", "host", "analysis", "collectors", "actions", "agent", "console")

MAY_IMPORT = {
    "contracts": {"contracts"},
    "settings": {"settings", "contracts"},
    "host": {"host", "contracts"},
    "analysis": {"analysis", "contracts"},
    "collectors": {"collectors", "contracts", "analysis"},
    "actions": {"actions", "contracts", "analysis"},
    "agent": {"agent", "contracts", "settings"},
    "console": {"console", "contracts", "settings"},
}
"""Collectors and actions take the host as an argument (`contracts.host`), so they need not import it."""

COMPOSITION_ROOT = "agent.wiring"

DOORS = {
    "yaml": {"settings.yaml"},
    "psutil": {"host.processes"},
    "cryptography": {
        "agent.enrolment",
        "console.authority",
        "console.authority_backup",
        "console.enrolment",
        "actions.backup.crypto",
        "actions.history.vault",
        "actions.backup.stores.sftp_packets",
        "collectors.traffic.output.sealing",
        "collectors.integrity.packages.openpgp_verify",
    },
    "scapy": {"collectors.traffic.output.dissection"},
    "zstandard": {
        "actions.backup.compression",
        "agent.reporter",
        "collectors.integrity.packages.compressed",
        "collectors.traffic.protocols.http.coding",
        "collectors.traffic.protocols.packing",
        "console.ingest",
    },
    "brotli": {"collectors.traffic.protocols.http.coding"},
    "pyfastcdc": {"actions.backup.chunker"},
    "paramiko": {
        "actions.backup.stores.sftp_link",
        "actions.backup.stores.sftp_packets",
        "actions.backup.stores.sftp_target",
    },
    "mfusepy": {"actions.backup.mount"},
    "blake3": {"host.file_digest"},
    "yara_x": {"collectors.integrity.yara_rules"},
    "apprise": {"actions.notify"},
    "numpy": {"collectors.traffic"},
    "pcre2": {"collectors.traffic.rules.matching.regex"},
    "hyperscan": {"collectors.traffic.rules"},
    "publicsuffixlist": {"collectors.traffic.rules.matching.domains"},
    "watchdog": {"agent.config_watch"},
    "schedule": {"agent.timesofday"},
    "argon2": {"console.accounts"},
    "subprocess": {"host", "agent", "console.cli"},
    "sqlalchemy": {"console.store", "console.migrations"},
    "alembic": {"console.store", "console.migrations"},
    "litestar": {"console.web"},
    "uvicorn": {"console"},
    "prometheus_client": {"console.metrics", "console.web"},
}
"""Library -> modules (or packages, with everything below) that may import it."""

PURE_FORBIDDEN = {"os.open", "subprocess", "socket", "time", "random", "sqlite3", "pathlib", "threading", "ssl"}


def _package(name: str) -> str:
    return name.split(".")[0]


def test_imports_point_down(modules: tuple[Any, ...]) -> None:
    wrong = [
        f"{module}:{line} imports {target}"
        for module in modules
        for target, line in module.imports
        if _package(target) in OURS
        and _package(target) not in MAY_IMPORT[module.package]
        and not (module.name.startswith("agent.cli.") and _package(target) == "analysis")
        and not (module.name == COMPOSITION_ROOT and _package(target) in {"collectors", "actions", "analysis", "host"})
        and not (module.name == "console.wiring" and target.startswith("actions.channels"))
    ]
    assert wrong == []


def test_only_the_composition_root_sees_catalogs(modules: tuple[Any, ...]) -> None:
    wrong = [
        f"{module}:{line} imports {target}"
        for module in modules
        for target, line in module.imports
        if target.split(".")[1:2] == ["catalog"]
        and _package(target) in {"collectors", "actions", "analysis"}
        and module.name != COMPOSITION_ROOT
    ]
    assert wrong == []


def test_siblings_are_strangers(modules: tuple[Any, ...]) -> None:
    """A collector or action imports nothing of another one."""
    wrong = []
    for module in modules:
        if module.package not in {"collectors", "actions"} or module.name.count(".") == 0:
            continue
        room = module.name.split(".")[1]
        for target, line in module.imports:
            parts = target.split(".")
            if parts[0] in {"collectors", "actions"} and (parts[0] != module.package or parts[1] != room):
                wrong.append(f"{module}:{line} imports {target}")
    assert wrong == []


def test_libraries_enter_by_few_doors(modules: tuple[Any, ...]) -> None:
    wrong = []
    for module in modules:
        for target, line in module.imports:
            doors = DOORS.get(_package(target))
            if doors is not None and not any(
                module.name == door or module.name.startswith(f"{door}.") for door in doors
            ):
                wrong.append(f"{module}:{line} imports {_package(target)}, whose doors are {sorted(doors)}")
    assert wrong == []


def test_contracts_and_analysis_are_pure(modules: tuple[Any, ...]) -> None:
    """No I/O and no clock: what they need, they are given. `contracts.native` finds modules, as Python's own importing does."""
    wrong = [
        f"{module}:{line} imports {target}"
        for module in modules
        if module.package in {"contracts", "analysis"} and module.name != "contracts.native"
        for target, line in module.imports
        if _package(target) in PURE_FORBIDDEN
    ]
    assert wrong == []
    allowed = set(sys.stdlib_module_names) | {"msgspec", "contracts", "analysis"}
    foreign = [
        f"{module}:{line} imports {target}"
        for module in modules
        if module.package in {"contracts", "analysis"}
        for target, line in module.imports
        if _package(target) not in allowed
    ]
    assert foreign == []


def test_no_module_imports_itself_in_a_circle(modules: tuple[Any, ...]) -> None:
    names = {module.name for module in modules}

    def resolve(target: str) -> str | None:
        while target:
            if target in names:
                return target
            target = target.rpartition(".")[0]
        return None

    graph = {
        module.name: {found for target, _ in module.imports if (found := resolve(target)) and found != module.name}
        for module in modules
    }
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name in done:
            return
        for target in graph[name]:
            walk(target, (*path, name))
        done.add(name)

    for name in graph:
        walk(name, ())


def test_no_package_re_exports(modules: tuple[Any, ...]) -> None:
    """A room's may let its compiled modules be found, which must come before all else there, and exports nothing."""
    wrong = [
        module.name
        for module in modules
        if module.path.name == "__init__.py"
        and [target for target, _ in module.imports if not target.startswith(f"{module.name}.native.")]
    ]
    assert wrong == []


def test_agent_core_stays_light(root: Path) -> None:
    """Importing the core pulls in none of the heavy libraries; the numbers in `benchmarks/idle_memory.py` rest on it."""
    import subprocess

    heavy = [
        "click",
        "rich",
        "yaml",
        "cryptography",
        "asyncio",
        "psutil",
        "apprise",
        "litestar",
        "sqlalchemy",
        "numpy",
        "scapy",
        "hyperscan",
        "pcre2",
    ]
    code = f"import agent.daemon, agent.core, sys; print(sorted(set({heavy!r}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
