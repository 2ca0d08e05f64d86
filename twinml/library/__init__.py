"""Physics shipped with the package, one file each, sources cited."""

from twinml.library.brownian_particle import BrownianParticle
from twinml.library.cascaded_tanks import CascadedTanks
from twinml.library.gene_expression import GeneExpression
from twinml.library.lorenz import Lorenz
from twinml.library.outbreak import Outbreak
from twinml.library.pendulum import Pendulum
from twinml.library.robertson import Robertson
from twinml.library.van_der_pol import VanDerPol

__all__ = [
    "BrownianParticle",
    "CascadedTanks",
    "GeneExpression",
    "Lorenz",
    "Outbreak",
    "Pendulum",
    "Robertson",
    "VanDerPol",
]
