"""thalbids: measures the thalamus in BIDS datasets, and how far the measurement can be trusted."""

__version__ = "0.1.0"
