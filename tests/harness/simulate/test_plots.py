"""Each plot has the name of the scenario that does the same live; its histories are judged in test_simulate.py."""

from harness import locate
from harness.simulate.plots import PLOTS


def test_every_plot_has_a_scenario_of_its_name():
    assert set(PLOTS) <= set(locate.names("scenarios"))
