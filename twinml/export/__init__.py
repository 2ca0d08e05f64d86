"""Artifacts: a surrogate as a folder that needs only torch, and the check that it is one.

``twinml.export(...)`` calls the function ``export`` below: the package itself is callable.
"""

from twinml.callable_module import make_callable
from twinml.export.artifact import Artifact, LoadedArtifact, read_artifact
from twinml.export.tampering import flipped_bits
from twinml.export.targets import TARGETS, Target
from twinml.export.verification import Verification, load_artifact, verify
from twinml.export.writer import export

__all__ = [
    "TARGETS",
    "Artifact",
    "LoadedArtifact",
    "Target",
    "Verification",
    "export",
    "flipped_bits",
    "load_artifact",
    "read_artifact",
    "verify",
]

make_callable(__name__, "export")
