import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer, power_transform

from lockstep.features import numeric

NUMBERS = np.array([[-3.0, -0.5], [0.0, 1e-12], [2.5, 700.0], [np.nan, 4.0]])


def test_the_logarithm_keeps_the_sign():
    bent = numeric.log(NUMBERS, np.zeros((0, 2)))
    np.testing.assert_allclose(bent[:3, 0], [-np.log(4), 0, np.log(3.5)])
    assert np.isnan(bent[3, 0])


@pytest.mark.parametrize("shape", [-2.0, 0.0, 0.5, 1.0, 2.0, 4.0])
def test_the_power_transform_is_that_of_yeo_and_johnson(shape):
    from scipy.stats import yeojohnson

    bent = numeric.power(NUMBERS, np.array([[shape, shape]]))
    for place in range(2):
        known = ~np.isnan(NUMBERS[:, place])
        np.testing.assert_allclose(bent[known, place], yeojohnson(NUMBERS[known, place], shape), rtol=1e-12)
    assert np.isnan(bent[3, 0])


def test_far_numbers_stay_finite():
    far = np.array([[1e30, -1e30]])
    assert np.isfinite(numeric.power(far, np.array([[4.0, -2.0]]))).all()


def test_ranks_are_those_of_scikit_learn():
    train = np.random.default_rng(0).lognormal(size=(500, 1)).round(1)
    fitted = np.quantile(train, np.linspace(0, 1, 101), axis=0)
    asked = np.concatenate([train[:50], [[-5.0], [1e9]]])
    theirs = QuantileTransformer(n_quantiles=101, subsample=None).fit(train).transform(asked)
    np.testing.assert_allclose(numeric.quantile(asked, fitted), theirs, atol=1e-9)


def test_the_fitted_power_is_as_likely_as_that_of_scikit_learn():
    from lockstep.features.tabular import Unskew

    skewed = np.random.default_rng(1).lognormal(size=(400, 1))
    ours, theirs = Unskew("power").fit_transform(skewed), power_transform(skewed, standardize=False)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
