"""Exponential backoff with full jitter, and the peer's own wish where it gave one."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after the n-th failure in a row.

    Full jitter as in the AWS Architecture Blog, "Exponential Backoff And Jitter": uniform between 0 and
    `initial_s * 2**(failures - 1)`, at most `max_s`. A floor of a tenth keeps a lucky draw from being a hammer.
    """

    initial_s: float = 1.0
    max_s: float = 300.0

    def ceiling_s(self, failures: int) -> float:
        """The longest wait after `failures` failures in a row (1 or more)."""
        doublings = min(max(failures, 1) - 1, 62)  # beyond 62 the power alone passes any sensible max_s
        return min(self.max_s, self.initial_s * float(2**doublings))

    def delay_s(self, failures: int, *, rng: random.Random, retry_after_s: float | None = None) -> float:
        """Seconds to wait after `failures` failures in a row; a `retry_after_s` wins over our own figure."""
        if retry_after_s is not None:
            return max(0.0, retry_after_s)
        ceiling = self.ceiling_s(failures)
        return rng.uniform(ceiling / 10, ceiling)
