import numpy as np

from lockstep.drift.text_baseline import Vocabulary


def test_words_of_two_texts_are_known_and_nearly_all_others_are_not():
    words = [f"word{number}" for number in range(5000)]
    learned = Vocabulary.from_texts([" ".join(words)] * 2, ["lowercase"])

    assert learned.unknown([words]) == [0.0]
    assert learned.unknown([[f"other{number}" for number in range(5000)]])[0] > 0.98
    assert len(learned.filter) < 5000 * 10 / 8 * 4 / 3 + 8


def test_a_word_of_one_text_is_unknown():
    assert Vocabulary.from_texts(["good film", "good cast"], []).unknown([["good", "film"], []]) == [0.5]


def test_texts_are_cleaned_as_the_model_does():
    assert Vocabulary.from_texts(["<b>Good</b>"] * 2, ["strip_tags", "lowercase"]).terms == {"good": 2}


def test_terms_count_texts_and_not_words():
    assert Vocabulary.from_texts(["so so", "so it", "it"], []).terms == {"it": 2, "so": 2}


def test_many_texts_are_read_in_part():
    learned = Vocabulary.from_texts(["one two"] * 50_000, [])

    assert learned.rows == 16_667


def test_no_text_at_all():
    learned = Vocabulary.from_texts([], [])

    assert (learned.rows, learned.terms) == (0, {})
    assert learned.unknown([["any", "word"]]) == [1.0]


def test_share_of_unknown_words_is_that_of_the_text():
    learned = Vocabulary.from_texts(["a b c d"] * 2 + ["aa bb cc"] * 2, [])

    np.testing.assert_allclose(learned.unknown([["aa", "bb", "xx", "xx"]]), [0.5])
