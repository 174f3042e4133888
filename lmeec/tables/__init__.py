"""The results table: its columns, part files, their merge into one Parquet file, and reading it back."""

from lmeec.files.locations import location
from lmeec.tables.merge import check_free, merge_parts, read_part_infos
from lmeec.tables.metadata import Contents, RunMetadata
from lmeec.tables.output import Output
from lmeec.tables.parts import (
    PartInfo,
    PartWriter,
    list_parts,
    part_path,
    parts_directory,
    read_part_info,
    remove_parts,
)
from lmeec.tables.read import (
    count_missing,
    count_rows,
    has_truth,
    read_contents,
    read_coverage,
    read_history,
    read_metadata,
    read_results,
    scan_results,
)
from lmeec.tables.schema import SCHEMA, SCHEMA_VERSION, Missing, ResultRow, rows_to_batch
from lmeec.tables.takes import read_take, scan_takes

__all__ = [
    "Contents",
    "Missing",
    "Output",
    "PartInfo",
    "PartWriter",
    "ResultRow",
    "RunMetadata",
    "SCHEMA",
    "SCHEMA_VERSION",
    "check_free",
    "count_missing",
    "count_rows",
    "has_truth",
    "list_parts",
    "location",
    "merge_parts",
    "part_path",
    "parts_directory",
    "read_contents",
    "read_coverage",
    "read_history",
    "read_metadata",
    "read_part_info",
    "read_part_infos",
    "read_results",
    "read_take",
    "remove_parts",
    "rows_to_batch",
    "scan_results",
    "scan_takes",
]
