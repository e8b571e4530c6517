"""thalbids: measures the thalamus in BIDS datasets, and how far the measurement can be trusted."""

from __future__ import annotations

__version__ = "0.1.0"
