import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer

from lockstep.features.tokenizer import CLEANERS
from lockstep.features.transformers import CHUNK, DATE_PARTS, DateParts, TextTfidf

CORPUS = [
    "A <b>good</b> film &amp; a good cast",
    "bad film, bad cast; bad &lt;i&gt;ending&lt;/i&gt;",
    "",
    None,
    "Die Straße war naß, ÉTÉ été",
    "the the the the",
    "x y z",
    "good film 2026 film_noir don't",
    "映画 は 良い 映画",
    "a < b and c > d <br /><br/> cut<br>here",
]


def numbered(count, seed=0):
    """Return texts of random words, short and long."""
    random = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in random.zipf(1.4, random.integers(0, 40)) % 200) for _ in range(count)]


def cleaned(text):
    for name in TextTfidf().clean:
        text = CLEANERS[name](text)
    return text


def reference(texts, **params):
    vectorizer = TfidfVectorizer(lowercase=False, token_pattern=r"\w\w+", preprocessor=cleaned, **params)
    return vectorizer, vectorizer.fit_transform(["" if text is None else text for text in texts])


@pytest.mark.parametrize("texts", [CORPUS, numbered(300)], ids=["corpus", "numbered"])
@pytest.mark.parametrize("sublinear", [True, False])
@pytest.mark.parametrize(
    ("ngrams", "ngram_range"), [([1], (1, 1)), ([1, 2], (1, 2)), ([1, 2, 3], (1, 3)), ([2, 3], (2, 3))]
)
@pytest.mark.parametrize("least", [1, 2])
def test_weights_are_those_of_scikit_learn(texts, sublinear, ngrams, ngram_range, least):
    own = TextTfidf(ngrams=ngrams, min_documents=least, sublinear=sublinear)
    if least == 2 and texts is CORPUS:
        texts = CORPUS * 2
    fitted = own.fit_transform(texts)
    vectorizer, expected = reference(texts, sublinear_tf=sublinear, ngram_range=ngram_range, min_df=least)
    names = list(own.get_feature_names_out())
    # A longer n-gram stands in our vocabulary only if each of its words does; at a count it holds itself, they do.
    assert sorted(names) == sorted(vectorizer.get_feature_names_out())
    assert len(names) > 10
    places = [vectorizer.vocabulary_[name] for name in names]
    np.testing.assert_allclose(fitted.toarray(), expected[:, places].toarray(), rtol=1e-12, atol=0)
    assert (fitted != own.transform(texts)).nnz == 0


def test_unknown_words_count_as_for_scikit_learn():
    own, (vectorizer, _) = TextTfidf(min_documents=1), reference(CORPUS, sublinear_tf=True, ngram_range=(1, 2))
    own.fit(CORPUS)
    asked = ["good unheard film", "good film unheard good", "unheard", "", "bad <b>film</b> good cast bad film"]
    places = [vectorizer.vocabulary_[name] for name in own.get_feature_names_out()]
    np.testing.assert_allclose(
        own.transform(asked).toarray(), vectorizer.transform(asked)[:, places].toarray(), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("count", [50, CHUNK + 30], ids=["one-chunk", "two-chunks"])
def test_a_row_alone_has_the_weights_it_has_in_a_batch(count):
    texts = numbered(count)
    own = TextTfidf(ngrams=(1, 2, 3)).fit(texts[:400])
    batch = own.transform(texts)
    assert batch.shape == (count, len(own.idf_))
    for place in [*range(25), *range(count - 25, count)]:
        alone, row = own.transform([texts[place]]), batch[place]
        assert alone.indices.tobytes() == row.indices.tobytes()
        assert alone.data.tobytes() == row.data.tobytes()


def test_rows_have_length_one_or_zero():
    own = TextTfidf().fit(numbered(100))
    lengths = sparse.linalg.norm(own.transform([*numbered(20), "", None, "unheard"]), axis=1)
    np.testing.assert_allclose(lengths[lengths > 0], 1)
    assert lengths[-3:].tolist() == [0, 0, 0]


def test_few_terms_are_those_in_the_most_texts():
    texts = ["aa bb cc", "aa bb", "aa dd", "aa dd bb"]
    own = TextTfidf(ngrams=(1, 2), min_documents=1, max_terms=4).fit(texts)
    assert list(own.get_feature_names_out()) == ["aa", "bb", "dd", "aa bb"]
    assert own.transform(["aa bb dd cc"]).shape == (1, 4)
    everything = TextTfidf(ngrams=(1, 2), min_documents=1, max_terms=None).fit(texts)
    assert len(everything.get_feature_names_out()) == 8


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("lowercase", "ÄÉ Straße", "äé straße"),
        ("unescape_html", "a &lt;b&gt; &amp; &#39;", "a <b> & '"),
        ("strip_tags", "a<br/>b <p class='x'>c</p> 1 < 2", "a b  c  1 < 2"),
        ("strip_urls", "see https://a.b/c?d=e or www.x.y now", "see   or   now"),
        ("strip_mentions", "@someone: hi", " : hi"),
        ("strip_digits", "in 2026 and 7", "in   and  "),
        ("fold_accents", "Été naïve Ł ﬁ", "Ete naive Ł fi"),
    ],
)
def test_cleaners(name, text, result):
    assert CLEANERS[name](text) == result


def test_every_cleaner_is_in_the_table_above():
    marks = test_cleaners.pytestmark[0].args[1]
    assert {name for name, _, _ in marks} == set(CLEANERS)


def test_cleaners_run_in_the_order_given():
    text = ["&lt;b&gt;bold&lt;/b&gt;"]
    assert list(TextTfidf(["unescape_html", "strip_tags"], [1], 1).fit(text).get_feature_names_out()) == ["bold"]
    assert list(TextTfidf(["strip_tags", "unescape_html"], [1], 1).fit(text).get_feature_names_out()) == ["bold"]
    with pytest.raises(ValueError, match="no word"):
        TextTfidf(["unescape_html", "strip_tags"], [1], 1).fit(["&lt;b&gt;"])
    assert list(TextTfidf(["strip_tags", "unescape_html"], [1], 1).fit(["&lt;bb&gt;"]).get_feature_names_out()) == [
        "bb"
    ]


@pytest.mark.parametrize("texts", [[], [""], [None], ["a b c"], ["aa", "bb"]], ids=repr)
def test_texts_that_teach_nothing_are_refused(texts):
    with pytest.raises(ValueError, match=r"lower feature_engineering\.text\.min_documents"):
        TextTfidf(min_documents=2).fit(texts)


def test_it_is_an_estimator_that_can_be_cloned():
    own = TextTfidf(["lowercase"], [1], 3, 7, False)
    fitted = clone(own).fit(["aa bb"] * 3)
    assert fitted.get_params() == own.get_params()
    again = clone(fitted)
    assert not hasattr(again, "words_")
    with pytest.raises(NotFittedError):
        again.transform(["aa"])
    with pytest.raises(NotFittedError):
        again.get_feature_names_out()


def test_what_is_saved_has_no_lookup_and_answers_the_same():
    own = TextTfidf().fit(numbered(100))
    assert hasattr(own, "_numbers")
    assert "_numbers" not in own.__getstate__()
    content = skops.io.dumps(own)
    back = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    assert not hasattr(back, "_numbers")
    texts = numbered(30, seed=1)
    assert back.transform(texts).data.tobytes() == own.transform(texts).data.tobytes()
    assert list(back.get_feature_names_out()) == list(own.get_feature_names_out())


def test_fitting_anew_forgets_the_old_words():
    own = TextTfidf(min_documents=1).fit(["old words"])
    own.fit(["newer text"])
    assert own.transform(["old words"]).nnz == 0
    assert own.transform(["newer text"]).nnz == 3


def test_terms_weigh_what_they_tell_of_the_classes():
    """The ratios of Wang and Manning's equation 1, by hand: `good` stands in 2 of 3 terms of yes and in none of no."""
    texts, classes = ["good film", "good", "bad film", "bad"], ["yes", "yes", "no", "no"]
    own = TextTfidf(min_documents=1, ngrams=(1,), weighting="naive_bayes").fit(texts, classes)
    plain = TextTfidf(min_documents=1, ngrams=(1,)).fit(texts)
    ratio = np.log((3 / 6) / (1 / 6))
    np.testing.assert_allclose(own.idf_ / plain.idf_, [ratio + 0.05, 0.05, ratio + 0.05])
    assert own.fit_transform(texts, classes).toarray().tolist() == own.transform(texts).toarray().tolist()


def test_of_three_classes_the_one_that_a_term_tells_best_counts():
    texts, classes = ["one", "one", "two", "two", "three", "three"], [1, 1, 2, 2, 3, 3]
    own = TextTfidf(min_documents=1, ngrams=(1,), weighting="naive_bayes").fit(texts, classes)
    plain = TextTfidf(min_documents=1, ngrams=(1,)).fit(texts)
    np.testing.assert_allclose(own.idf_ / plain.idf_, np.log((3 / 5) / (1 / 7)) + 0.05)


def test_characters_are_terms_too():
    own = TextTfidf(min_documents=1, ngrams=(2, 3), unit="characters").fit(["A  b\n", None])
    assert own.get_feature_names_out().tolist() == ["  b", "a  ", "a   b"]
    assert own.transform(["ab", "xa b"]).nnz == 3


def test_too_long_sequences_of_too_many_characters_are_refused():
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 2000)))] * 2
    with pytest.raises(ValueError, match="2,000 characters are too many for sequences of 6"):
        TextTfidf(ngrams=(6,), unit="characters").fit(texts)


def test_models_of_earlier_versions_are_read():
    own = TextTfidf(min_documents=1).fit(["old words"])
    state = own.__getstate__()
    assert not {"unit", "weighting"} & set(state)
    back = TextTfidf.__new__(TextTfidf)
    back.__setstate__(state)
    assert back.get_params() == own.get_params()
    assert (back.transform(["old"]) != own.transform(["old"])).nnz == 0


DATES = {
    "day": ("2026-01-31", [2026, 1, 31, 5, 0]),
    "time": ("2026-01-31T23:30:00", [2026, 1, 31, 5, 23]),
    "zone": ("2026-01-31T23:30:00-02:00", [2026, 2, 1, 6, 1]),
    "B34-daylight-saving": ("2026-03-29T03:30:00+02:00", [2026, 3, 29, 6, 1]),
    "B34-year-1": ("0001-01-01", [1, 1, 1, 0, 0]),
    "B34-year-9999": ("9999-12-31", [9999, 12, 31, 4, 0]),
    "missing": (None, [np.nan] * 5),
}


@pytest.mark.parametrize(("text", "parts"), DATES.values(), ids=DATES.keys())
def test_date_parts(text, parts):
    frame = pd.DataFrame({"since": pd.Series([text], dtype=object)})
    np.testing.assert_array_equal(DateParts(list(DATE_PARTS)[:5]).fit_transform(frame), [parts])


@pytest.mark.parametrize(
    ("text", "quarter", "yearday"),
    [("2024-12-31T00:30:00+01:00", 4, 365), ("2024-02-29", 1, 60), ("2025-04-01", 2, 91), (None, np.nan, np.nan)],
)
def test_quarters_and_days_of_the_year(text, quarter, yearday):
    frame = pd.DataFrame({"since": pd.Series([text], dtype=object)})
    np.testing.assert_array_equal(DateParts(["quarter", "yearday"]).fit_transform(frame), [[quarter, yearday]])


def test_the_last_step_of_a_cycle_stands_beside_the_first():
    frame = pd.DataFrame({"since": ["2026-12-06T23:00:00", "2026-01-05T00:00:00", "2026-06-11T12:00:00", None]})
    for cycle in ("month", "weekday", "hour"):
        last, first, middle, missing = DateParts([f"{cycle}_sin", f"{cycle}_cos"]).fit_transform(frame)
        assert np.linalg.norm(last - first) < 0.9 < np.linalg.norm(middle - first)
        assert np.isnan(missing).all()


def test_dates_of_several_kinds_stand_in_one_column():
    frame = pd.DataFrame({"since": pd.Series([text for text, _ in DATES.values()], dtype=object)})
    np.testing.assert_array_equal(DateParts().fit_transform(frame), [parts for _, parts in DATES.values()])


def test_date_columns_are_named_by_their_parts():
    frame = pd.DataFrame({"a": ["2026-01-31"], "b": ["2025-02-03"]})
    own = DateParts(["month", "year"]).fit(frame)
    assert list(own.get_feature_names_out()) == ["a_month", "a_year", "b_month", "b_year"]
    assert own.transform(frame).tolist() == [[1, 2026, 2, 2025]]
    assert clone(own).get_params() == {"parts": ["month", "year"]}
