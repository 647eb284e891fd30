"""What is held and how it is given up, in processes of their own that the test forks."""

import json
import os
import pwd
import resource

import pytest

from agent import kernel, privileges
from agent.privileges import FALLBACK_BASE, WORKERS, Account
from contracts.errors import Why


def in_child(work):
    """Return what `work` returns, run in a forked process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:  # noqa: BLE001  # the parent shall see it
            os.write(writing, json.dumps(f"{type(error).__name__}: {error}").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = json.loads(answer.read())
    os.waitpid(pid, 0)
    return said


NOBODY = Account(uid=65600, gid=65600)


def held():
    now = privileges.held()
    return {
        "uid": now.uid,
        "capabilities": sorted(now.capabilities),
        "ambient": sorted(now.ambient),
        "bounding": sorted(now.bounding),
        "final": now.no_new_privileges,
        "groups": os.getgroups(),
        "dumpable": kernel.prctl(kernel.PR_GET_DUMPABLE),
        "umask": os.umask(0),
        "securebits": kernel.prctl(27),
    }


def test_a_drop_leaves_exactly_what_was_named():
    def work():
        privileges.drop(NOBODY, ("CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"), ("CAP_NET_ADMIN",))
        return held()

    assert in_child(work) == {
        "uid": 65600,
        "capabilities": ["CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN"],
        "ambient": ["CAP_NET_ADMIN"],
        "bounding": ["CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN"],
        "final": True,
        "groups": [],
        "dumpable": 0,
        "umask": 0o077,
        "securebits": 0b11101111,
    }


def test_a_tool_gets_the_ambient_ones_and_no_more():
    def work():
        privileges.drop(NOBODY, ("CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"), ("CAP_NET_ADMIN",))
        with os.popen("/usr/bin/grep CapEff /proc/self/status") as tool:
            return sorted(privileges.names(int(tool.read().split()[1], 16)))

    assert in_child(work) == ["CAP_NET_ADMIN"]


def test_there_is_no_way_back():
    def work():
        privileges.drop(NOBODY)
        try:
            os.setuid(0)
        except PermissionError:
            return "refused"
        return "root again"

    assert in_child(work) == "refused"


def test_root_that_stays_root_has_nothing_either():
    def work():
        privileges.drop(None)
        return held()

    now = in_child(work)
    assert now["uid"] == 0 and now["capabilities"] == [] and now["bounding"] == []


def test_an_ordinary_user_gives_up_what_it_can():
    def work():
        os.setresuid(65600, 65600, 65600)
        privileges.drop(None, ("CAP_NET_ADMIN",))
        return held()

    now = in_child(work)
    assert (now["capabilities"], now["final"], now["dumpable"]) == ([], True, 0)


def test_dropping_to_the_core_and_reading_what_is_left_of_proc_self():
    def work():
        privileges.drop(NOBODY)
        with open("/proc/self/smaps_rollup") as rollup:
            return "Pss:" in rollup.read()

    assert in_child(work) is True


def test_giving_up_one_keeps_the_others():
    def work():
        privileges.drop(NOBODY, ("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"))
        privileges.give_up("CAP_SYS_PTRACE")
        return held()["capabilities"]

    assert in_child(work) == ["CAP_DAC_READ_SEARCH"]


def test_what_is_lost_is_named_with_the_reason_and_what_would_do():
    def work():
        privileges.drop(None)
        return [[spot.what, spot.why, spot.detail, spot.fix] for spot in privileges.lost("reader", WORKERS["reader"])]

    lost = in_child(work)
    assert [what for what, *_ in lost][:2] == list(WORKERS["reader"].blind.values())
    assert all(why == Why.PERMISSION and detail and fix.endswith(".") for _, why, detail, fix in lost)
    assert "container settings" in lost[0][3]  # it is not even in the bounding set
    assert "shares its user" in lost[2][2]


def test_what_the_eyes_hold_is_not_lost():
    def work():
        privileges.drop(privileges.account("reader", WORKERS["reader"].user), ("CAP_DAC_READ_SEARCH",))
        return [spot.what for spot in privileges.lost("reader", WORKERS["reader"], frozenset({"CAP_SYS_PTRACE"}))]

    assert in_child(work) == []


def test_what_a_sandbox_does_not_let_go_is_named():
    """Where capset is refused (a unit's SystemCallFilter=), the rest of the drop happens all the same."""

    def refuse(*_):
        raise PermissionError(1, "capset")

    def work():
        privileges.drop(privileges.account("reader", WORKERS["reader"].user), WORKERS["reader"].capabilities)
        kernel.capset = refuse
        privileges.give_up("CAP_SYS_PTRACE")
        privileges.drop(None, ("CAP_DAC_READ_SEARCH",))
        spots = privileges.lost("reader", WORKERS["reader"], frozenset({"CAP_SYS_PTRACE"}))
        return [[spot.what for spot in spots], spots[0].fix, held()["final"], held()["dumpable"]]

    whats, fix, final, dumpable = in_child(work)
    assert whats == ["to it that worker reader, were it taken over, could not use CAP_SYS_PTRACE"]
    assert "SystemCallFilter=capset" in fix and (final, dumpable) == (True, 0)


def test_limits_are_lowered_and_hold():
    def work():
        privileges.drop(privileges.account("reader", WORKERS["reader"].user))
        privileges.bound(WORKERS["reader"])
        limits = {
            name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
            for name in ("CORE", "NOFILE", "DATA", "NPROC")
        }
        try:
            bytearray(2 << 30)
        except MemoryError:
            return limits | {"big": "refused"}
        return limits

    said = in_child(work)
    assert said == {
        "CORE": [0, 0],
        "NOFILE": [4096, 4096],
        "DATA": [1 << 30] * 2,
        "NPROC": [128, 128],
        "big": "refused",
    }


def test_a_launcher_narrows_itself_without_losing_what_it_passes_on():
    def work():
        privileges.narrow({"CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_NET_ADMIN"})
        may = privileges.may_change_user()
        privileges.drop(NOBODY, ("CAP_NET_ADMIN",))
        return [may, privileges.may_change_user(), held()["capabilities"]]

    assert in_child(work) == [True, False, ["CAP_NET_ADMIN"]]


def test_accounts_come_from_the_user_database_or_are_numbers_nobody_else_has():
    assert privileges.account("reader", "daemon").name == "daemon"
    numbers = [privileges.account(role, f"holdfast-missing-{role}").uid for role in ("core", *WORKERS)]
    assert len(set(numbers)) == len(numbers) and min(numbers) >= FALLBACK_BASE
    for number in numbers:
        with pytest.raises(KeyError):
            pwd.getpwuid(number)


def test_every_worker_says_what_is_not_seen_without_each_capability():
    for name, wanted in WORKERS.items():
        assert set(wanted.blind) == set(wanted.capabilities), name
        assert set(wanted.ambient) <= set(wanted.capabilities), name


def test_a_threads_restriction_leaves_the_other_threads_what_they_had():
    def work():
        import threading

        privileges.drop(NOBODY, ("CAP_CHOWN", "CAP_DAC_READ_SEARCH"))
        said = []

        def deed():
            privileges.restrict_thread(("CAP_DAC_READ_SEARCH", "CAP_NET_ADMIN"))
            said.append(sorted(privileges.held().capabilities))

        thread = threading.Thread(target=deed)
        thread.start()
        thread.join()
        return [*said, sorted(privileges.held().capabilities)]

    assert in_child(work) == [["CAP_DAC_READ_SEARCH"], ["CAP_CHOWN", "CAP_DAC_READ_SEARCH"]]
