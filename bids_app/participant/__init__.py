"""The participant stage: from raw BIDS to measured thalami, session by session."""
