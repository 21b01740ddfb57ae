"""What the Prefect dashboard shows of a finished build."""

from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from artifacts.library import Library
from artifacts.model_card import card
from artifacts.package import read_manifest


def show_metrics(library: Library, name: str) -> None:
    """A table of the figures and gates, and the model card."""
    manifest = read_manifest(library.path(name))
    key = "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
    create_table_artifact(key=f"metrics-{key}", table=rows(manifest), description=f"{name}: gates")
    create_markdown_artifact(key=f"card-{key}", markdown=card(manifest))


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a gate, then one a vocoder."""
    table = [
        {
            "check": name,
            "value": round(gate["value"], 4),
            "limit": round(gate["limit"], 4),
            "passed": "yes" if gate["passed"] else "no",
            "meaning": gate["text"],
        }
        for name, gate in manifest["gates"].items()
    ]
    for name, figures in manifest["metrics"]["vocoders"].items():
        table.append(
            {
                "check": f"{name} MR-STFT",
                "value": round(figures["mr_stft"], 4),
                "limit": "",
                "passed": "winner" if name == manifest["vocoder"] else "",
                "meaning": f"log-mel L1 {figures['log_mel_l1']:.4f}",
            }
        )
    return table
