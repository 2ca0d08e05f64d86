"""``python -m twinml`` is the same program as ``twinml``."""

from __future__ import annotations

import sys

from twinml.cli.main import main

sys.exit(main())
