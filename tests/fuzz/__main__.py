"""Give readers hostile inputs, from where the last run stopped; `--help` tells how."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.fuzz import campaign
from tests.fuzz.inputs import Place, make, reader_of
from tests.fuzz.judging import judge
from tests.fuzz.readers import READERS
from tests.fuzz.record import KEPT, Record, keep
from tests.fuzz.table import table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path("fuzz"), help="folder of the record and of failing inputs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=10_000, help="in all, divided among the readers")
    parser.add_argument("--rounds", type=int, default=1, help="how often to go through all readers for them")
    parser.add_argument("--reader", action="append", choices=READERS, help="only this one; may be repeated")
    parser.add_argument("--show", action="store_true", help="only show what was found so far")
    parser.add_argument("--again", action="store_true", help="only try the failing inputs again")
    parser.add_argument("--keep", action="store_true", help="only merge the record into that of the repository")
    parser.add_argument("--write", nargs=2, metavar=("NUMBER", "FILE"), help="only write one input of a reader")
    return parser.parse_args()


def main() -> None:
    """Do what the arguments say."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a folder of its own is removed
    os.nice(19 - os.nice(0))  # workers inherit it
    told = _arguments()
    readers = told.reader or list(READERS)
    if told.write:
        Path(told.write[1]).write_bytes(make(READERS[readers[0]], told.seed, int(told.write[0])))
        return
    record = Record(told.state, KEPT)
    if told.keep:
        keep(record)
    elif told.again:
        _again(record)
    elif not told.show:
        whole = sum(READERS[name].target for name in readers)
        counts = {name: max(round(told.inputs * READERS[name].target / whole), 1) for name in readers}
        campaign.run(record, told.seed, counts, told.rounds)
    print(table(record.read()))


def _again(record: Record) -> None:
    """Try failing inputs again, and note which are mended."""
    for key, entry in record.read()["failures"].items():
        kept = record.failing(entry)
        if not kept.is_file():
            continue
        reader = reader_of(kept)
        folder = Path(tempfile.mkdtemp())
        try:
            failures = judge(reader, Place(reader, folder).put(kept.read_bytes())).failures
        finally:
            shutil.rmtree(folder)
        if not failures:
            record.mended(key, campaign.commit())


if __name__ == "__main__":
    main()
