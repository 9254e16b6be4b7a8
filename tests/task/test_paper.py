"""One rule for what can be compared with a published row: the field that differs is listed."""

import json
from dataclasses import asdict, replace

import pytest

from speechkit.emotion import paper as emotion
from speechkit.emotion.config import encoder_config
from speechkit.pronunciation import paper as pronunciation
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.scoring import paper as scoring
from speechkit.scoring.config import ScoringConfig
from speechkit.separation import paper as separation
from speechkit.separation.config import SeparationConfig
from speechkit.task.paper import deciding, differences

GOPT = pronunciation.find("gopt", "mse")
OURS = scoring.TABLE_2[-1]
HUBERT = emotion.ROWS[-1]
DM = separation.find("dm", None, "light")


@pytest.mark.parametrize("row", [GOPT, OURS, HUBERT, DM])
def test_the_published_configuration_is_comparable(row):
    assert row.differences(asdict(row.config), row.facts) == []
    read = json.loads(json.dumps(asdict(row.config)))  # lists for tuples, as in config.yaml
    assert differences(read, row.config) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"width": 48}, "width: 48, paper's 24"),
        ({"learning_rate": 0.05}, "learning_rate: 0.05, paper's 0.001"),
        ({"batch_size": 400}, "batch_size: 400, paper's 25"),
        ({"select": "test"}, "select: test, paper's last"),
        ({"epochs": 3}, "epochs: 3, paper's 100"),
        ({"aspects": ("phone_accuracy",)}, None),
    ],
)
def test_a_gopt_trained_otherwise_is_not_comparable(changed, said):
    found = GOPT.differences(replace(PronunciationConfig(), **changed).params(), GOPT.facts)
    assert found == [said] if said else found[0].startswith("aspects: phone_accuracy, paper's ")


def test_features_of_an_unknown_model_are_not_comparable():
    facts = {**GOPT.facts, "features": "imported, of a model that is not recorded"}
    (found,) = GOPT.differences(PronunciationConfig().params(), facts)
    assert found.startswith("features: imported, of a model that is not recorded, paper's GOP of")


def test_patience_counts_by_the_epochs_that_it_left():
    config = {**asdict(DM.config), "patience": 0}
    assert DM.differences(config, DM.facts) == []
    assert DM.differences({**config, "patience": 5, "epochs": 41}, DM.facts) == [
        "epochs: 41, paper's 100"
    ]


def test_an_emotion_run_with_another_rate_and_pooling_is_not_comparable():
    config = encoder_config("paper", {"learning_rate": 1e-2, "pooling": "max"})
    assert HUBERT.differences(config.as_dict(), HUBERT.facts) == [
        "pooling: max, paper's mean",
        "learning_rate: 0.01, paper's 0.0001",
    ]


def test_a_separation_run_with_other_gains_is_not_comparable():
    config = replace(DM.config, mixing=replace(DM.config.mixing, gain_min=-30.0, gain_max=30.0))
    assert DM.differences(config.params(), DM.facts) == [
        "mixing.gain_min: -30, paper's -5",
        "mixing.gain_max: 30, paper's 5",
    ]


def test_a_scoring_run_with_another_target_is_not_comparable():
    config = replace(OURS.config, target="fluency")
    assert OURS.differences(config.params(), OURS.facts) == ["target: fluency, paper's total"]


def test_what_decides_nothing_is_not_compared():
    """Names of sets and experiments, what is measured for the record, and the machine."""
    renamed = {"set_name": "x", "gop": ("a", "b"), "track": "test"}
    assert differences(replace(GOPT.config, **renamed).params(), GOPT.config) == []
    renamed = {"set_name": "x", "valid_set": "y", "hard": "z", "compiled": True, "seed": 7}
    assert differences(replace(DM.config, **renamed).params(), DM.config) == []
    renamed = {"set_name": "x", "features": "y", "pretrain_set": "z", "synthetic": "s"}
    assert differences(replace(OURS.config, **renamed).params(), OURS.config) == []
    given = {"keep_checkpoints": 1, "gradient_checkpointing": True}
    assert differences(encoder_config("paper", given).as_dict(), HUBERT.config) == []


def test_every_other_field_is_compared():
    """No list is kept by hand: each field of a configuration that decides the result counts."""
    for config in (
        PronunciationConfig(),
        SeparationConfig(),
        ScoringConfig(),
        encoder_config("paper", {}),
    ):
        for name, value in deciding(config).items():
            changed = asdict(config)
            group, _, inner = name.rpartition(".")
            (changed[group] if group else changed)[inner] = f"not {value}"
            (found,) = differences(changed, config)
            assert found.startswith(f"{name}: not ")


def test_a_field_that_is_not_recorded_has_its_default():
    recorded = {"loss": "sb-num"}
    assert differences(recorded, pronunciation.find("gopt", "sb-num").config) == []
    assert differences({}, pronunciation.find("gopt", "sb-num").config) == [
        "loss: mse, paper's sb-num"
    ]
    assert differences({**asdict(DM.config), "init": None}, DM.config) == []


def test_facts_are_named():
    found = DM.differences(asdict(DM.config), {**DM.facts, "tested on": "librispeech"})
    assert found == ["tested on: librispeech, paper's published mixtures of WSJ0"]
