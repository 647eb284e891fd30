"""Agents by API."""

from console.store.records import FindingKind

A = "/api/v1/agents"


def test_the_fleet_is_listed_searched_and_paged(site, full, viewer, ask):
    for number in range(5):
        site.agent(f"db-{number}")
    first = ask(viewer, A, limit=4)
    rest = ask(viewer, A, limit=4, cursor=first["next"])
    assert len(first["items"]) == 4
    assert len({agent["id"] for agent in first["items"] + rest["items"]}) == 6
    assert rest["next"] == ""
    assert [agent["hostname"] for agent in ask(viewer, A, q="web")["items"]] == ["web-1"]
    assert len(ask(viewer, A, state="never")["items"]) == 5


def test_one_agent_says_state_workers_lanes_and_sight(full, viewer, ask):
    body = ask(viewer, f"{A}/{full.id}", A + "/{agent}")
    assert body["agent"]["state"] == "up"
    assert body["agent"]["last_heartbeat"].endswith("Z")
    assert [worker["name"] for worker in body["workers"]] == ["netfilter", "reader"]
    assert [sight["subject"] for sight in body["coverage"]["sights"]] == ["firewall", "ports"]


def test_an_agent_that_never_reported_has_no_times(site, viewer, ask):
    body = ask(viewer, f"{A}/{site.agent().id}", A + "/{agent}")
    assert (body["agent"]["state"], body["agent"]["last_heartbeat"], body["lanes"]) == ("never", "", [])


def test_coverage_says_what_is_not_seen_and_why(site, viewer, ask, support_partly):
    agent = site.agent()
    agent.heartbeat(support_partly)
    sights = ask(viewer, f"{A}/{agent.id}/coverage", A + "/{agent}/coverage")["sights"]
    assert sights[1]["blind"][0]["why"] == "permission"


def test_rows_of_a_subject_are_paged_by_key(full, viewer, ask):
    template = A + "/{agent}/subjects/{subject}"
    body = ask(viewer, f"{A}/{full.id}/subjects/ports", template)
    assert (body["total"], body["complete"], body["rows"]["tcp 0.0.0.0:22"]["process"]) == (3, True, "sshd")
    first = ask(viewer, f"{A}/{full.id}/subjects/ports", template, limit=2)
    second = ask(viewer, f"{A}/{full.id}/subjects/ports", template, limit=2, cursor=first["next"])
    assert {**first["rows"], **second["rows"]} == body["rows"]


def test_a_subject_never_sent_is_not_an_empty_one(site, viewer):
    answer = viewer.get(f"{A}/{site.agent().id}/subjects/ports")
    assert answer.status_code == 404
    assert "nothing is known" in answer.json()["detail"]


def test_findings_are_listed(site, full, viewer, ask):
    site.run(site.store.note(full.id, FindingKind.DUPLICATE, "two instances", site.now_ms))
    assert ask(viewer, "/api/v1/findings", open="true")["items"][0]["kind"] == "duplicate"


def test_an_admin_revokes_once(site, full, admin, viewer, document):
    admin.get("/account")
    headers = {"x-csrf-token": admin.csrf()}
    for changed in (True, False):
        answer = admin.send("POST", f"{A}/{full.id}/revoke", headers=headers)
        assert document.check(answer, "post", A + "/{agent}/revoke") == {"changed": changed}
    assert viewer.get(f"{A}/{full.id}").json()["agent"]["state"] == "revoked"
    assert admin.send("POST", f"{A}/nothing/revoke", headers=headers).status_code == 404
