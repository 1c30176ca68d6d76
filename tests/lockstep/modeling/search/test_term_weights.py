import numpy as np
import pytest
from scipy import sparse

from lockstep.features.transformers import TextTfidf, telling
from lockstep.modeling.search.term_weights import TermWeights

RANDOM = np.random.default_rng(4)
TEXTS = [" ".join(RANDOM.choice(["good", "bad", "film", "cast", "plot", "fine"], 4)) for _ in range(60)] + ["", None]
LABELS = np.asarray(["no", "yes", "so"])[RANDOM.integers(0, 3, 62)]
TRAIN = np.flatnonzero(RANDOM.random(62) < 0.6)


def weighed(own_idf):
    """Return what the texts weigh if the terms' importance is that of the train rows."""
    tfidf = TextTfidf(min_documents=1, weighting="naive_bayes").fit(TEXTS, LABELS)
    tfidf.idf_ = own_idf
    return tfidf.transform(TEXTS)


@pytest.mark.parametrize("shape", [sparse.csr_matrix, lambda matrix: matrix.toarray()], ids=["sparse", "dense"])
def test_a_fold_gets_the_weights_that_its_train_rows_make(shape):
    plain = TextTfidf(min_documents=1)
    cells = plain.fit_transform(TEXTS).tocoo()
    mine = np.isin(cells.row, TRAIN)
    own = telling(np.searchsorted(TRAIN, cells.row[mine]), cells.col[mine], LABELS[TRAIN], cells.shape[1])
    whole = TextTfidf(min_documents=1, weighting="naive_bayes").fit_transform(TEXTS, LABELS)
    beside = RANDOM.normal(size=(62, 2))
    matrix = shape(sparse.hstack([beside, whole], format="csr"))
    block = np.asarray([[2, 2 + whole.shape[1]]])
    found = TermWeights.from_matrix(matrix, LABELS, block).reweight(matrix, LABELS, TRAIN)
    assert sparse.issparse(found) == sparse.issparse(matrix)
    dense = found.toarray() if sparse.issparse(found) else found
    np.testing.assert_allclose(dense[:, :2], beside)
    np.testing.assert_allclose(dense[:, 2:], weighed(plain.idf_ * own).toarray(), atol=1e-12)
    assert abs(dense[:, 2:] - whole.toarray()).max() > 0.01


def test_a_matrix_without_such_terms_is_left_alone():
    matrix = RANDOM.normal(size=(62, 2))
    assert TermWeights.from_matrix(matrix, LABELS, np.zeros((0, 2), np.int64)).reweight(matrix, LABELS, TRAIN) is matrix
