"""`python -m tests.simulation SEED`: one seed again, with all that happens in it and what is wrong with it."""

from __future__ import annotations

import sys

from tests.simulation.check import violations
from tests.simulation.run import simulate

story = simulate(int(sys.argv[1]))
wrong = violations(story)
sys.stdout.write("\n".join([*story.lines(), "", str(story.setup), "", f"{len(wrong)} violations", *wrong, ""]))
sys.exit(bool(wrong))
