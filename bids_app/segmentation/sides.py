"""Labels of the left and right thalamus, the same in every label image that thalbids writes."""

from __future__ import annotations

LEFT, RIGHT = 1, 2
