from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from gradbox.attribution.sensitivity import Sensitivity
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.learned import Ridge, Sgd
from gradbox.estimators.untrained import Center, Mass, TopFraction, Whole
from gradbox.grammar import Spec, parse
from gradbox.methods import METHODS
from gradbox.specs import build, canonical

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
values = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.text(alphabet="a01.e-+_=,'\"\\() \n/:", max_size=6),
)
shares = st.floats(0.001, 0.999)
positive = st.floats(1e-9, 1e9)
counts = st.integers(1, 10**6)
files = st.none() | st.text(min_size=1)
parts = st.one_of(
    st.builds(TopFraction, shares, positive),
    st.builds(Mass, shares, st.floats(0, 0.49), positive),
    st.builds(Center, shares),
    st.just(Whole()),
    st.builds(
        Ridge, st.none(), counts, boxes=st.just("single"), penalty=positive, folds=st.integers(2, 9)
    ),
    st.builds(Ridge, files, st.none(), st.just("quantiles")),
    st.builds(Sgd, grid=st.none() | counts, lr=st.none() | positive, steps=counts),
    st.builds(Sgd, files, st.none() | counts),
)


@given(names, st.lists(values, max_size=3), st.dictionaries(names, values, max_size=3))
def test_what_is_written_is_read_back_whatever_the_text_holds(name, args, kwargs):
    spec = Spec(name, tuple(args), kwargs)
    assert parse(str(spec)) == spec


@settings(max_examples=200)
@given(parts)
def test_an_estimator_with_any_options_comes_back_from_its_canonical_text(part):
    assert build(canonical(part, ESTIMATORS), ESTIMATORS) == part


@given(
    st.sampled_from(["class_score", "layer_mean"]) | st.text().map("{}.py:f".format),
    st.sampled_from(["mean", "max"]),
    st.sampled_from(["logit", "probability"]),
    st.none() | st.text(min_size=1),
)
def test_a_sensitivity_map_with_any_options_comes_back_from_its_canonical_text(
    target, reduce, score, layer
):
    part = Sensitivity(target, reduce, score, layer)
    assert build(canonical(part, METHODS), METHODS) == part


@given(st.text())
def test_any_text_is_read_or_refused_with_a_usage_error(text):
    with suppress(UsageError):
        assert parse(text).name in text
