"""Where the files are that tests and benchmarks read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Of the repository."""

ASSETS = ROOT / "tests" / "assets"
"""What others computed, and inputs that cannot be made; each folder's NOTICE says where they came from."""
