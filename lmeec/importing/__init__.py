"""Predictions of other methods, in the challenge's format, as a results table."""

from lmeec.importing.convert import ImportSummary, import_predictions

__all__ = ["ImportSummary", "import_predictions"]
