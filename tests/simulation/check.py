"""What a run of one seed came to: run by the tests, in processes of their own."""

from __future__ import annotations

import traceback

from tests.simulation.history import check_history
from tests.simulation.run import simulate
from tests.simulation.story import Story
from tests.simulation.told import check_told


def violations_of(seed: int) -> tuple[int, list[str]]:
    """The seed, and all that must not be, in one line each."""
    return seed, violations(simulate(seed))


def violations(story: Story) -> list[str]:
    """All that must not be."""
    if story.failure is not None:
        return traceback.format_exception(story.failure)
    return [*story.wrong, *check_history(story), *check_told(story)]


def digest_of(seed: int) -> str:
    """The same for the same run."""
    return simulate(seed).digest()
