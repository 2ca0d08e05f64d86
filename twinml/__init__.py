"""twinml: physics written once in torch, calibrated, swept, learned, exported."""

__version__ = "0.1.0"
