import pytest
import yaml

from lockstep.config import params_file
from lockstep.config.params_file import _StrictLoader
from lockstep.errors import ConfigError


def load(text):
    return yaml.load(text, _StrictLoader)


@pytest.mark.parametrize("text", ["1e-05", "1E5", "-2.5e+3", "1.e2", "3e0"])
def test_numbers_with_an_exponent_are_numbers_however_a_tool_writes_them(text):
    assert load(f"a: {text}") == {"a": float(text)}


@pytest.mark.parametrize("text", ["1.2.3", "e5", "1e", "0x1e5g", "'1e-05'"])
def test_texts_stay_texts(text):
    assert load(f"a: {text}") == {"a": text.strip("'")}


@pytest.mark.parametrize("text", ["010", "-007", "1:30", "12:30:45", "[1, 010]", "[1:30]"])
def test_numbers_that_yaml_reads_as_others_are_refused_by_their_key(text):
    with pytest.raises(ConfigError, match=r"seed = .*is read as another number"):
        params_file.parse(f"model_building:\n  seed: {text}\n")


def test_such_values_in_quotes_are_texts():
    assert load("a: ['010', \"1:30\"]\nb: 0\nc: 0.5") == {"a": ["010", "1:30"], "b": 0, "c": 0.5}
