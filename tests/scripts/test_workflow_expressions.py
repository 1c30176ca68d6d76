"""The part of GitHub's expressions that the workflows need, by the rules of its documentation."""

import pytest

from scripts.workflow_expressions import ExpressionError, evaluate, substitute

CONTEXTS = {
    "vars": {"REGION": "eu-west-1", "EMPTY": ""},
    "github": {"event_name": "push", "event": {"pull_request": {"head": {"name": "fork"}}}},
    "needs": {"suites": {"outputs": {"product": "true"}}},
    "success": True,
    "failure": False,
}

VALUES = {
    "vars.REGION": "eu-west-1",
    "vars.MISSING": None,
    "vars.MISSING.deeper": None,
    "vars.REGION != ''": True,
    "vars.MISSING == ''": True,
    "'It''s'": "It's",
    "needs.suites.outputs.product == 'true'": True,
    "'PUSH' == github.event_name": True,
    "vars.EMPTY || 'null'": "null",
    "vars.REGION && 'set' || 'unset'": "set",
    "!(vars.REGION == 'x') && github.event.pull_request.head.name == 'fork'": True,
    "format('{1}/{0}', vars.REGION, 'origin')": "origin/eu-west-1",
    "contains(vars.REGION, 'WEST')": True,
    "startsWith(vars.REGION, 'us')": False,
    "failure() || success()": True,
    "${{ vars.REGION == 'eu-west-1' }}": True,
}


@pytest.mark.parametrize(("expression", "value"), VALUES.items())
def test_an_expression_has_the_value_that_github_gives_it(expression, value):
    assert evaluate(expression, CONTEXTS) == value


def test_embedded_expressions_become_text():
    assert substitute("a ${{ vars.REGION }} ${{ vars.MISSING }}, ${{ success() }}", CONTEXTS) == "a eu-west-1 , true"


@pytest.mark.parametrize(
    "expression", ["vars.A = 'b'", "(vars.A", "runner.os", "hashFiles('x')", "'a' 'b'", "vars.A &&"]
)
def test_what_is_not_supported_is_an_error(expression):
    with pytest.raises(ExpressionError):
        evaluate(expression, CONTEXTS)
