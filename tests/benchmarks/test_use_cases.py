import pytest

from benchmarks import use_cases


@pytest.mark.pipeline
@pytest.mark.long("trains two models and makes thirty of them")
def test_nothing_to_do_costs_with_thirty_models_at_most_three_times_as_much(capsys):
    assert use_cases.main([]) == 0, capsys.readouterr().out
