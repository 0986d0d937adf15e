"""QuantLib as the second opinion."""

import warnings

import pytest


@pytest.fixture(scope="session")
def ql():
    """The module; its wrapper's own warnings at import are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("QuantLib")
