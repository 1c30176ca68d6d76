import socket

import pytest

from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, DispatchError
from lockstep.lifecycle.retraining import github as dispatch
from lockstep.lifecycle.retraining.github import Repository, RetrainRequest
from tests import github_like
from tests.github_like import TOKEN

ORDER = RetrainRequest("demo", "new tariffs", "drift", "0123abcd")


def settings(**changes):
    own = {"LOCKSTEP_DISPATCH_REPO": "own/er", "LOCKSTEP_DISPATCH_TOKEN": TOKEN}
    return Settings.read({name: value for name, value in (own | changes).items() if value})


def target(url, token=TOKEN):
    return Repository("own/er", url, token)


def test_nothing_is_handed_over_unless_a_repository_is_set():
    assert Repository.from_settings(settings(LOCKSTEP_DISPATCH_REPO="")) is None
    assert Repository.from_settings(settings()) == target("https://api.github.com")
    assert TOKEN not in repr(Repository.from_settings(settings()))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"LOCKSTEP_DISPATCH_TOKEN": ""}, "no LOCKSTEP_DISPATCH_TOKEN"),
        ({"LOCKSTEP_DISPATCH_REPO": "https://github.com/own/er"}, "LOCKSTEP_DISPATCH_REPO is"),
        ({"LOCKSTEP_DISPATCH_REPO": "own/er/../../other"}, "LOCKSTEP_DISPATCH_REPO is"),
        ({"LOCKSTEP_DISPATCH_URL": "http://example.com"}, "LOCKSTEP_DISPATCH_URL is"),
        ({"LOCKSTEP_DISPATCH_URL": "file:///etc/passwd"}, "LOCKSTEP_DISPATCH_URL is"),
    ],
)
def test_half_of_it_is_refused_before_anything_is_sent(changes, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        Repository.from_settings(settings(**changes))
    assert caught.value.hint


def test_the_order_is_what_github_expects():
    with github_like.serving() as github:
        dispatch.send(target(github.url), ORDER)
    payload = {"model": "demo", "reason": "new tariffs", "trigger": "drift", "job": "0123abcd"}
    assert github.asked == [("/repos/own/er/dispatches", {"event_type": "retrain", "client_payload": payload})]


@pytest.mark.parametrize("statuses", [(500,), (503, 429)])
def test_a_busy_github_is_asked_again(statuses):
    with github_like.serving(*statuses) as github:
        dispatch.send(target(github.url), ORDER, 0.01)
    assert len(github.asked) == len(statuses) + 1


@pytest.mark.parametrize(("status", "hint"), [(401, "renew"), (403, "write access"), (404, "REPO"), (302, "address")])
def test_a_refusal_names_its_cause_once_and_never_the_token(status, hint):
    with github_like.serving(status) as github, pytest.raises(DispatchError, match=str(status)) as caught:
        dispatch.send(target(github.url), ORDER, 0.01)
    assert hint in caught.value.hint
    assert TOKEN not in f"{caught.value}{caught.value.hint}"
    assert len(github.asked) == 1


def test_a_network_that_is_down_is_told():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(DispatchError, match="out of reach"):
            dispatch.send(target(address), ORDER, 0.01)
