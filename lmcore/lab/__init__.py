"""The laboratory: what looks at many runs or judges one. Compare, diagnose, estimate; no torch (docs/design.md)."""

from lmcore.lab.compare import Comparison, compare
from lmcore.lab.diagnose import Curves, Gap, Sign, curves_of, diagnose, generalization_gap

__all__ = ["Comparison", "Curves", "Gap", "Sign", "compare", "curves_of", "diagnose", "generalization_gap"]
