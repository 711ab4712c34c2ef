"""Configs are read under their public names, and those of other networks refused."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mgenv.errors import CheckpointError
from mgenv.matrix_game3 import PUBLIC_5B, ActionConfig, TransformerConfig
from tests.matrix_game3.small_network import SMALL

FIXTURES = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


def test_a_config_survives_json(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(asdict(PUBLIC_5B)))
    assert TransformerConfig.from_json(path) == PUBLIC_5B


def test_no_action_config_means_no_action_modules():
    config = TransformerConfig.from_dict({"action_config": {}})
    assert config.action_config is None and config.actions_of(0) is None


def test_head_widths_of_action_modules_are_checked():
    with pytest.raises(CheckpointError, match="mouse_hidden_dim"):
        ActionConfig(blocks=(0,), mouse_hidden_dim=1000).check()


def test_a_config_with_unknown_keys_names_them_all(tmp_path):
    values = json.loads((FIXTURES / "dit_config.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values | {"depth": 3, "_class_name": "X", "colour": 1}))
    with pytest.raises(CheckpointError, match="colour, depth"):
        TransformerConfig.from_json(path)
    values["action_config"]["window"] = 3
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="action_config: window"):
        TransformerConfig.from_json(path)
    path.write_text("[1]")
    with pytest.raises(CheckpointError, match="JSON object"):
        TransformerConfig.from_json(path)


@pytest.mark.parametrize(
    "change",
    [
        {"num_heads": 5},
        {"patch_size": (2, 2, 2)},
        {"window_size": (8, 8)},
        {"model_type": "i2v"},
        {"dim": 48},
    ],
)
def test_a_config_of_another_network_is_refused(change):
    with pytest.raises(CheckpointError, match="expected"):
        replace(SMALL, **change)
