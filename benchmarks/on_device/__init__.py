"""What accelerator.py runs: steps in processes of their own, comparisons of what they found, and the report."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the package of this repository, whether or not it is installed
