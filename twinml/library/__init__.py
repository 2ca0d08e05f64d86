"""Physics shipped with the package, one file each, sources cited."""

from twinml.library.battery_ecm import BatteryEcm
from twinml.library.bouncing_ball import BouncingBall
from twinml.library.brownian_particle import BrownianParticle
from twinml.library.building2r2c import Building2r2c
from twinml.library.cascaded_tanks import CascadedTanks
from twinml.library.dc_motor import DcMotor
from twinml.library.gene_expression import GeneExpression
from twinml.library.heat_rod import HeatRod
from twinml.library.heater_pair import HeaterPair
from twinml.library.lorenz import Lorenz
from twinml.library.mass_spring_damper import MassSpringDamper
from twinml.library.outbreak import Outbreak
from twinml.library.pendulum import Pendulum
from twinml.library.predator_prey import PredatorPrey
from twinml.library.reactor_bed import ReactorBed
from twinml.library.robertson import Robertson
from twinml.library.servo_axis import ServoAxis
from twinml.library.stirred_reactor import StirredReactor
from twinml.library.van_der_pol import VanDerPol

__all__ = [
    "BatteryEcm",
    "BouncingBall",
    "BrownianParticle",
    "Building2r2c",
    "CascadedTanks",
    "DcMotor",
    "GeneExpression",
    "HeatRod",
    "HeaterPair",
    "Lorenz",
    "MassSpringDamper",
    "Outbreak",
    "Pendulum",
    "PredatorPrey",
    "ReactorBed",
    "Robertson",
    "ServoAxis",
    "StirredReactor",
    "VanDerPol",
]
