import random
import re
import string

import pytest

from lockstep.features.tokenizer import CLEANERS, tokenizer

WORD = re.compile(r"\w\w+")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good film, a GOOD film!", ["Good", "film", "GOOD", "film"]),
        ("snake_case x1 1x _ __", ["snake_case", "x1", "1x", "__"]),
        ("tab\tand\x00nul\x1fend", ["tab", "and", "nul", "end"]),
        ("été naïve 漢字", ["été", "naïve", "漢字"]),
        ("a b c", []),
        ("", []),
        (None, []),
    ],
    ids=repr,
)
def test_words_of_two_letters_or_more(text, words):
    assert tokenizer([])(text) == words


def test_ascii_is_split_as_the_pattern_would():
    draw = random.Random(3)
    signs = [chr(code) for code in range(128)] + list(string.ascii_letters) * 2
    for _ in range(20_000):
        text = "".join(draw.choices(signs, k=draw.randrange(40)))
        assert tokenizer([])(text) == WORD.findall(text)


def test_steps_run_in_the_order_given():
    text = "&lt;B&gt;BOLD&lt;/B&gt;"
    assert tokenizer(["unescape_html", "strip_tags", "lowercase"])(text) == ["bold"]
    assert tokenizer(["strip_tags", "unescape_html"])(text) == ["BOLD"]
    assert set(CLEANERS) >= {"lowercase", "fold_accents"}
