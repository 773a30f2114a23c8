"""What the curves say about the run while it goes on, as warnings; each kind once."""

from __future__ import annotations

from lmcore.config import Config
from lmcore.lab.diagnose import curves_of, diagnose
from lmcore.runs import Run

# Enough points for every sign; reading more would make each evaluation of a long run slower.
POINTS = 500
# Signs that ask for something to be done, and the kind of warning that each is.
KINDS = {"divergence": "divergence", "plateau": "plateau", "overfit": "overfit", "overconfident": "overfit"}


def new_warnings(run: Run, config: Config, known: set[str]) -> dict[str, str]:
    """Kinds of warnings that are new, with what was seen and what to do; they are added to `known`."""
    found = {}
    for sign in diagnose(curves_of(run.history(max_train=POINTS)), config):
        kind = KINDS.get(sign.what)
        if kind is not None and kind not in known:
            known.add(kind)
            found[kind] = f"{sign.message} {sign.remedy}"
    return found
