"""Users, one's own account, the audit log."""

from console.store.records import Role

PASSWORD = "correct horse battery"


def user(site, name):
    return site.run(site.store.user(name))


def test_an_admin_adds_changes_and_locks_out_users(site, admin):
    admin.get("/users")
    admin.post("/users", {"name": "bob", "role": "viewer", "password": "a long enough one"})
    assert user(site, "bob").role is Role.VIEWER
    admin.post("/users/bob/role", {"role": "operator"})
    assert user(site, "bob").role is Role.OPERATOR
    before = user(site, "bob").password
    admin.post("/users/bob/password", {"password": "another long one"})
    assert user(site, "bob").password != before
    admin.post("/users/bob/disabled", {"disabled": "yes"})
    assert "locked out" in admin.text("/users")
    admin.post("/users/bob/disabled", {"disabled": "no"})
    assert not user(site, "bob").disabled
    log = admin.text("/audit")
    for deed in ("user.added", "user.role_changed", "user.password_changed", "user.disabled", "user.enabled"):
        assert deed in log


def test_mistakes_are_explained_and_change_nothing(site, admin):
    admin.get("/users")
    assert "is not a user name" in admin.post("/users", {"name": "Bob Smith", "role": "viewer"}).text
    assert "is not a role" in admin.post("/users", {"name": "bob", "role": "king"}).text
    assert "characters" in admin.post("/users", {"name": "bob", "role": "viewer", "password": "short"}).text
    assert "last admin" in admin.post("/users/ada/role", {"role": "viewer"}).text
    assert "last admin" in admin.post("/users/ada/disabled", {"disabled": "yes"}).text
    assert user(site, "bob") is None
    assert user(site, "ada").role is Role.ADMIN


def test_a_changed_role_counts_from_the_next_click(site, admin):
    bob = site.someone(Role.ADMIN, "bob")
    assert bob.get("/users").status_code == 200
    admin.get("/users")
    admin.post("/users/bob/role", {"role": "viewer"})
    assert bob.get("/users").status_code == 403


def test_changing_ones_password_needs_the_present_one_and_ends_all_logins(site):
    browser, elsewhere = site.browser(), site.browser()
    for one in (browser, elsewhere):
        one.get("/login")
        one.post("/login", {"name": "ada", "password": PASSWORD})
    browser.get("/account")
    wrong = browser.post("/account/password", {"old": "guess guess guess", "new": "a brand new password"})
    assert (wrong.status_code, "present password is wrong" in wrong.text) == (403, True)
    short = browser.post("/account/password", {"old": PASSWORD, "new": "short"})
    assert short.status_code == 400
    assert browser.post("/account/password", {"old": PASSWORD, "new": "a brand new password"}).status_code == 303
    assert [one.get("/").status_code for one in (browser, elsewhere)] == [303, 303]
    browser.get("/login")
    assert browser.post("/login", {"name": "ada", "password": "a brand new password"}).status_code == 303


def test_a_password_is_guessed_no_faster_at_the_account_page(site):
    browser = site.browser()
    browser.get("/login")
    browser.post("/login", {"name": "ada", "password": PASSWORD})
    browser.get("/account")
    codes = [browser.post("/account/password", {"old": "guess", "new": "x" * 20}).status_code for _ in range(7)]
    assert codes[-1] == 429


def test_the_audit_log_is_filtered_and_paged(site, admin):
    for number in range(120):
        site.run(site.store.audit(site.now_ms, "cli:test", "test.done", f"thing {number}", "", ""))
    text = admin.text("/audit?what=test.")
    assert "thing 119" in text
    assert "thing 5 " not in text
    assert "Older" in text
    oldest = site.run(site.store.audit_log(limit=1000, what="test."))[-1].number
    assert "thing 5 " in admin.text(f"/audit?what=test.&before={oldest + 10}")
    assert "No entry matches" in admin.text("/audit?what=nothing")
