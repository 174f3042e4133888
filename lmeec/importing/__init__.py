"""What others made of masks: predictions of other methods as a results table, corrections in CVAT as annotations."""

from lmeec.importing.convert import ImportSummary, import_predictions
from lmeec.importing.cvat import CvatImport, import_cvat

__all__ = ["CvatImport", "ImportSummary", "import_cvat", "import_predictions"]
