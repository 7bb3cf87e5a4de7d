"""Draw the gaps of a recorded verdict, or the doses of a recorded dose.json: python figure.py JSON SVG [UPSTREAM]."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from evenset.finetune.figures import draw_all

if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if len(sys.argv) > 3:
        for part in ("arms", "gaps"):
            found[part] = [arm for arm in found[part] if arm["upstream"] == sys.argv[3]]
    with tempfile.TemporaryDirectory() as folder:
        written = {path.name: path for path in draw_all(found, folder)}
        shutil.copy(written.get("gaps.svg") or written["doses.svg"], sys.argv[2])
