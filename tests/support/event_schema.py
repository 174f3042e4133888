"""Writes docs/events.schema.json as the code has it: `python -m tests.support.event_schema`."""

from __future__ import annotations

import json

from lmeec_cli.event_lines import schema
from tests.support.places import ROOT

if __name__ == "__main__":
    (ROOT / "docs" / "events.schema.json").write_text(json.dumps(schema(), indent=2) + "\n")
