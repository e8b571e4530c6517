"""``python -m bids_app`` is ``thalbids``."""

from __future__ import annotations

import sys

from bids_app.cli import main

sys.exit(main())
