"""Reading forms."""


def test_a_file_or_a_missing_field_reads_as_empty_and_long_ones_are_cut(site, admin):
    admin.get("/tokens")
    csrf = admin.csrf()
    admin.send("POST", "/tokens", data={"csrf": csrf, "note": "n" * 5000, "valid": "3600"})
    assert len(site.run(site.store.tokens())[0].note) == 200
    upload = admin.send("POST", "/tokens", data={"csrf": csrf}, files={"note": b"x"}, headers={"x-csrf-token": csrf})
    assert upload.status_code == 400
    assert len(site.run(site.store.tokens())) == 1
