"""A wrong setting is named with its value and its bound."""

import pytest

from optmm.data.simulator.config import SimulationConfig, simulation_config
from optmm.errors import ConfigError


def test_negative_rate_of_events_is_named():
    with pytest.raises(ConfigError, match=r"quote_events_target is -5: .*greater than or equal"):
        simulation_config({"quote_events_target": -5})


def test_unknown_key_is_refused_with_the_nearest_known_one():
    with pytest.raises(
        ConfigError, match="unknown key 'takers_per_dya'; did you mean 'takers_per_day'"
    ):
        simulation_config({"takers_per_dya": 100.0})


def test_every_fault_is_reported_with_its_origin():
    with pytest.raises(
        ConfigError, match=r"^sim\.toml: spot_usd is -1.0: .*; informed_share is 1.5: "
    ) as caught:
        simulation_config({"informed_share": 1.5, "spot_usd": -1.0}, "sim.toml")
    assert caught.value.exit_code == 3


def test_a_string_is_not_a_number():
    with pytest.raises(ConfigError, match=r"minutes is '30'"):
        simulation_config({"minutes": "30"})


def test_a_smile_with_butterflies_is_refused():
    with pytest.raises(ConfigError, match=r"must be <= 2 for an arbitrage-free smile"):
        simulation_config({"smile_eta": 1.5, "smile_rho": -0.9})


def test_jumps_cannot_carry_most_of_the_variance():
    with pytest.raises(ConfigError, match="lower jumps_per_day or jump_sd_log"):
        simulation_config({"jumps_per_day": 50.0, "jump_sd_log": 0.02})


def test_frozen_and_hashed_by_content():
    config = SimulationConfig()
    assert config.digest == SimulationConfig().digest
    assert config.digest != SimulationConfig(takers_per_day=1.0).digest
    with pytest.raises(ValueError, match="frozen"):
        config.minutes = 3
