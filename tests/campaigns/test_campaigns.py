"""A small part of the campaigns, the same cases each time: every ending is one that is promised."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import campaign
from base import make
from fuzz_sets import run_cases
from hostile import recipes
from kill_points import BLOW, run_case


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place for campaigns, and in it a base working directory of the demo alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECHKIT_CAMPAIGNS", str(tmp_path_factory.mktemp("campaigns")))
        campaign.top.cache_clear()
        make(campaign.base(), ["demo"], campaign.in_process)
        yield campaign.top()
    campaign.top.cache_clear()


def endings(tally):
    assert tally.tries
    return [(bad["what"], bad["problem"]) for bad in tally.bad]


@pytest.mark.parametrize("seeds", [range(0, 12), range(12, 24)], ids=str)
def test_broken_sets(place, seeds, monkeypatch):
    monkeypatch.chdir(place)
    tally = campaign.Tally("sets")
    run_cases(seeds, tally, place / "sets")
    assert endings(tally) == []


@pytest.mark.parametrize("name", ["fix", "prepare folder", "split"])
def test_kills(place, name):
    if not BLOW.root:
        sys.addaudithook(BLOW.hook)
        BLOW.root = "/"  # hooked once in a process
    tally = campaign.Tally("kills")
    run_case(name, 0, 1, tally, campaign.fresh(place / "points"), campaign.base())
    assert endings(tally) == [] and tally.codes == {"-9": tally.tries}


@pytest.mark.skipif(shutil.which("bash") is None, reason="recipes are scripts of bash")
def test_arguments_of_recipes(place):
    tally = campaign.Tally("recipes")
    recipes.run(tally)
    assert endings(tally) == []
