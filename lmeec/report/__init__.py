"""One page about a run: its metrics, what they depend on, and tracks to look at."""

from lmeec.report.page import write_report

__all__ = ["write_report"]
