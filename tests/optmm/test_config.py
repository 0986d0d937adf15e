"""Configuration: strict, frozen, hashed; mistakes are named with their remedy."""

import json

import pytest

from optmm.config import DeskConfig, digest, load, parsed
from optmm.errors import ConfigError


def write(tmp_path, text):
    path = tmp_path / "desk.toml"
    path.write_text(text)
    return path


def test_defaults_hash_the_same_whether_written_out_or_not(tmp_path):
    path = write(tmp_path, "[limits]\ninventory_usd = 10000000.0\n")
    assert digest(load(path)) == digest(DeskConfig()) == digest(load(None))


def test_a_change_changes_the_hash(tmp_path):
    path = write(tmp_path, "[limits]\ninventory_usd = 9999999.0\n")
    assert digest(load(path)) != digest(DeskConfig())


def test_misspelt_key_names_file_key_and_the_right_one(tmp_path):
    path = write(tmp_path, "[limits]\ninventry_usd = 1e6\n")
    with pytest.raises(
        ConfigError,
        match=r"desk\.toml: unknown key 'limits\.inventry_usd'; did you mean 'inventory_usd'",
    ):
        load(path)


def test_misspelt_section_lists_what_exists(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown key 'limitz'; did you mean 'limits'"):
        load(write(tmp_path, "[limitz]\n"))


def test_value_out_of_range_names_value_and_bound(tmp_path):
    with pytest.raises(ConfigError, match=r"limits\.inventory_usd is -5\.0: .*greater than 0"):
        load(write(tmp_path, "[limits]\ninventory_usd = -5.0\n"))


def test_text_where_a_number_belongs_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"quoting\.max_lots is '10'"):
        load(write(tmp_path, '[quoting]\nmax_lots = "10"\n'))


@pytest.mark.parametrize(
    "rule", ["sticky_strike", "sticky_moneyness", "local_vol", "sticky_local_vol", 2.5, 1]
)
def test_stickiness_is_a_ratio_or_a_rule_s_name(tmp_path, rule):
    """`sticky_local_vol`, a name of `surfaces.dynamics`, used to be refused."""
    text = f'"{rule}"' if isinstance(rule, str) else rule
    found = load(write(tmp_path, f"[surface]\nskew_stickiness = {text}\n"))
    assert found.surface.skew_stickiness == rule
    assert parsed(found.model_dump(), "again") == found


@pytest.mark.parametrize("wrong", ['"sticky"', "3.5", "true"])
def test_no_other_stickiness_is_taken(tmp_path, wrong):
    with pytest.raises(ConfigError, match=r"skew_stickiness is .*from -1 to 3, or one of sticky_"):
        load(write(tmp_path, f"[surface]\nskew_stickiness = {wrong}\n"))


def test_names_and_bounds_of_stickiness_are_those_of_the_surface_floor():
    from optmm.config import RULES, STICKINESS
    from surfaces import dynamics

    assert set(RULES) == set(dynamics.NAMES)
    assert STICKINESS == dynamics.RATIOS


def test_unknown_world_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"replay\.bounds"):
        load(write(tmp_path, '[replay]\nbounds = ["hopeful"]\n'))


def test_broken_toml_and_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(write(tmp_path, "[limits\n"))
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml")


def test_config_is_frozen():
    with pytest.raises(Exception, match="frozen"):
        DeskConfig().limits.inventory_usd = 1.0


def test_dividends_events_and_models_are_read_and_checked(tmp_path):
    path = tmp_path / "desk.toml"
    path.write_text(
        '[surface]\nmodel = "svi"\n'
        '[dividends]\nex_dates = ["2014-08-27", "2014-11-25"]\ncash_usd = [0.3175, 0.3175]\n'
        '[clock]\novernight = 0.2\nevents_at = ["2014-08-06T08:00-04:00"]\nevents_move = [0.04]\n'
    )
    config = load(path)
    assert config.surface.model == "svi"
    assert config.dividends.cash_usd == (0.3175, 0.3175)
    assert parsed(json.loads(config.model_dump_json()), "again") == config
    for text, words in (
        ('[dividends]\nex_dates = ["2014-08-27"]\ncash_usd = []\n', "1 ex_dates and 0 cash_usd"),
        ('[dividends]\nex_dates = ["soon"]\ncash_usd = [1.0]\n', "soon"),
        ('[clock]\nevents_at = ["2014-08-06T08:00"]\nevents_move = [0.04]\n', "without an offset"),
        ('[surface]\nmodel = "sabre"\n', "surface.model is 'sabre'"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load(path)
