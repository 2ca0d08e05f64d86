"""Parameters and initial values from records.

``twinml.calibrate(...)`` calls the function ``calibrate`` below: the package itself is callable.
"""

from twinml.calibrate.bands import Band, bands
from twinml.calibrate.calibration import Calibration, load_calibration
from twinml.calibrate.verb import calibrate
from twinml.callable_module import make_callable

__all__ = ["Band", "Calibration", "bands", "calibrate", "load_calibration"]

make_callable(__name__, "calibrate")
