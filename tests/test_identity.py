"""What makes a trained state the one that it is, and the name of its run."""

from conftest import ROOT

from autoencoder import article
from autoencoder.files import read_yaml
from autoencoder.record import identity, lock

DEFAULTS = identity.defining(lock.flatten(read_yaml(ROOT / "params.yaml", remedy="")))
DATA = "0" * 32


def test_the_defaults_of_params_yaml_are_the_articles() -> None:
    assert identity.differences(DEFAULTS) == {}
    assert set(DEFAULTS) <= set(article.PARAMS)
    assert identity.run_name(DEFAULTS) == "article"


def test_a_run_is_named_by_what_it_does_differently_from_the_article() -> None:
    changed = DEFAULTS | {"train.learning_rate": 0.01, "data.name": "digits"}
    assert identity.run_name(changed) == "data=digits lr=0.01"
    assert identity.run_name(dict(reversed(changed.items()))) == "data=digits lr=0.01"


def test_a_param_that_is_absent_or_unknown_at_its_old_value_changes_neither_identity_nor_name() -> None:
    earlier = {name: value for name, value in DEFAULTS.items() if name != "train.momentum"}
    for params in (earlier, DEFAULTS | {"runtime.numerics": "portable"}, DEFAULTS | {"render.examples": 12}):
        assert identity.key(params, DATA) == identity.key(DEFAULTS, DATA)
        assert identity.run_name(params) == "article"


def test_a_number_is_the_same_number_however_it_is_written() -> None:
    assert identity.key(DEFAULTS | {"train.momentum": 0}, DATA) == identity.key(
        DEFAULTS | {"train.momentum": 0.0}, DATA
    )
    assert identity.run_name(DEFAULTS | {"train.momentum": 0}) == "momentum=0.0"


def test_other_params_or_other_data_are_another_state() -> None:
    states = [(DEFAULTS, DATA), (DEFAULTS, "1" * 32), (DEFAULTS | {"seed": 1}, DATA), (DEFAULTS | {"new": 1}, DATA)]
    keys = [identity.key(params, data) for params, data in states]
    assert keys[3] == keys[0], "only the sections that make a state count"
    assert len(set(keys)) == 3


def test_the_knobs_of_the_families_change_neither_identity_nor_name_while_they_are_off() -> None:
    later = ("corruption.", "constraint.", "data.validation", "model.hidden", "model.channels", "model.activation")
    earlier = {
        name: value
        for name, value in DEFAULTS.items()
        if not name.startswith((*later, "train.loss", "train.weight_decay"))
    }
    assert len(earlier) + 11 == len(DEFAULTS)
    assert identity.key(earlier | {"seed": 7}, DATA) == identity.key(DEFAULTS | {"seed": 7}, DATA)
    deep = DEFAULTS | {"model.name": "mlp", "model.hidden": [100], "constraint.name": "variational"}
    assert identity.run_name(deep) == "model=mlp hidden=[100] constraint=variational"
    assert identity.key(deep, DATA) != identity.key(DEFAULTS, DATA)
