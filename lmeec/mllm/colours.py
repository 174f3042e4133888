"""Mean and deviation of the pixels that CLIP was trained with."""

from __future__ import annotations

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of RGB values in [0, 1]."""

MEAN_COLOUR = (122, 116, 104)
"""The mean as a colour of 8 bits, truncated as VideoLLaMA2 has it."""
