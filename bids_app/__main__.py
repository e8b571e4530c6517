"""``python -m bids_app`` is ``thalbids``."""

import sys

from bids_app.cli import main

sys.exit(main())
