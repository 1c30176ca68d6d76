import base64

import pytest

from flask_app.admission import authentication
from flask_app.admission.authentication import Access
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

KEY, OTHER = "first-key-0123456789", "second/key+0123456789=="


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


CARRIED = {
    "bearer": ({"HTTP_AUTHORIZATION": f"Bearer {KEY}"}, KEY),
    "bearer, small": ({"HTTP_AUTHORIZATION": f"bearer  {OTHER}"}, OTHER),
    "own header": ({"HTTP_X_API_KEY": KEY}, KEY),
    "password": ({"HTTP_AUTHORIZATION": basic(f"anyone:{KEY}")}, KEY),
    "password, no name": ({"HTTP_AUTHORIZATION": basic(f":{OTHER}")}, OTHER),
    "none": ({}, None),
    "empty": ({"HTTP_AUTHORIZATION": "", "HTTP_X_API_KEY": ""}, None),
    "wrong": ({"HTTP_X_API_KEY": KEY[:-1]}, None),
    "longer": ({"HTTP_X_API_KEY": KEY + "0"}, None),
    "both keys": ({"HTTP_X_API_KEY": f"{KEY},{OTHER}"}, None),
    "user name": ({"HTTP_AUTHORIZATION": basic(f"{KEY}:x")}, None),
    "other scheme": ({"HTTP_AUTHORIZATION": f"Token {KEY}"}, None),
    "no scheme": ({"HTTP_AUTHORIZATION": KEY}, None),
    "not base64": ({"HTTP_AUTHORIZATION": "Basic %%%"}, None),
    "not UTF-8": ({"HTTP_AUTHORIZATION": "Basic /////w=="}, None),
    "not ASCII": ({"HTTP_X_API_KEY": "é\udc80"}, None),
}


@pytest.mark.parametrize("case", CARRIED)
def test_keys_come_in_three_ways(case):
    environ, key = CARRIED[case]
    expected = authentication.fingerprint(key) if key else None
    assert Access(f"{KEY}, {OTHER}", "").authorized(environ) == expected


def test_S02_keys_are_kept_as_digests_and_named_by_what_does_not_lead_back():
    held = Access(KEY, OTHER)
    assert KEY not in repr(vars(held)) and OTHER not in repr(vars(held))
    name = held.authorized({"HTTP_X_API_KEY": KEY})
    assert name.startswith("key-") and KEY not in name
    assert Access(KEY, "")._names.keys() != Access(KEY, "")._names.keys()


LISTS = [("", 0), (" , \n", 0), (KEY, 1), (f"{KEY},{OTHER}", 2), (f"{KEY}\n{OTHER}\r\n", 2), (f"{KEY},{KEY}", 1)]


@pytest.mark.parametrize(("text", "count"), LISTS)
def test_lists_of_keys(text, count):
    held = Access(text, "")
    assert (len(held._names), held.keyed) == (count, bool(count))


@pytest.mark.parametrize("secret", ["hunter2", "x" * 15, "é" * 20, "x" * 20 + "\x7f"])
def test_secrets_that_would_not_do_are_refused_without_being_shown(secret):
    for given in ((secret, ""), ("", secret)):
        with pytest.raises(ConfigError) as refused:
            Access(*given)
        assert secret not in f"{refused.value} {refused.value.hint}"


def test_secrets_stand_in_files_too(tmp_path):
    (tmp_path / "keys").write_text(f"{KEY}\n{OTHER}\n")
    (tmp_path / "token").write_text(f"{OTHER}\n")
    environment = {
        "LOCKSTEP_API_KEYS_FILE": str(tmp_path / "keys"),
        "LOCKSTEP_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
    }
    held = Access.from_settings(Settings.read(environment))
    assert held.authorized({"HTTP_X_API_KEY": OTHER})
    held.require_admin(f"Bearer {OTHER}")


NEEDS = [
    ("/livez", "nothing"), ("/v2/health/ready", "nothing"), ("/static/<path:filename>", "nothing"), (None, "key"),
    ("/", "key"), ("/predict", "key"), ("/metrics", "key"), ("/health", "key"), ("/new", "key"), ("/livez/x", "key"),
    ("/admin/reload", "admin"), ("/retrain", "admin"), ("/administer", "key"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "need"), NEEDS)
def test_what_a_route_needs(rule, need):
    assert authentication.need_of(rule) == need
