"""How a command answers."""

import argparse
import json
from typing import Any

Arguments = argparse.Namespace


def show(asked: Arguments, data: dict[str, Any], lines: list[str]) -> None:
    """The result on stdout: one JSON object, or lines for a person."""
    if asked.json:
        print(json.dumps(data, ensure_ascii=False, allow_nan=False), flush=True)
    else:
        print("\n".join(lines), flush=True)
