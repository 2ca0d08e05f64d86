"""Physics shipped with the package, one file each, sources cited."""

from twinml.library.battery_ecm import BatteryEcm
from twinml.library.building2r2c import Building2r2c
from twinml.library.cascaded_tanks import CascadedTanks
from twinml.library.heater_pair import HeaterPair
from twinml.library.lorenz import Lorenz
from twinml.library.outbreak import Outbreak
from twinml.library.pendulum import Pendulum
from twinml.library.robertson import Robertson
from twinml.library.van_der_pol import VanDerPol

__all__ = [
    "BatteryEcm",
    "Building2r2c",
    "CascadedTanks",
    "HeaterPair",
    "Lorenz",
    "Outbreak",
    "Pendulum",
    "Robertson",
    "VanDerPol",
]
