"""What varies, what changes when, for how long, and which quantities come out."""

from twinml.scenario.check import BoundScenario
from twinml.scenario.design import DESIGNS
from twinml.scenario.distribution import Distribution
from twinml.scenario.scenario import Horizon, Scenario
from twinml.scenario.yaml_file import load_yaml

__all__ = ["DESIGNS", "BoundScenario", "Distribution", "Horizon", "Scenario", "load_yaml"]
