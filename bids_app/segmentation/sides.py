"""Labels of the left and right thalamus, the same in every label image that thalbids writes."""

from __future__ import annotations

LEFT, RIGHT = 1, 2
# Label of both thalami in a reference that has one label for both.
EITHER = 3
