import json

import pytest

from lockstep.data.decoding import Decoder
from lockstep.data.schema import Column, Schema

NAMES = [("size", True), ("é %", True), ('a "b"', False), ("a\\b", False), ("a\nb", False)]


@pytest.mark.parametrize(("name", "compiles"), NAMES)
def test_a_name_that_json_escapes_is_left_to_the_schema(name, compiles):
    schema = Schema("regression", "y", (), (Column(name, "numeric", False, 1.0),))
    asked = Decoder(schema).decode(json.dumps({"rows": [{name: 1.5}]}, ensure_ascii=False).encode())
    assert (asked is not None) is compiles
