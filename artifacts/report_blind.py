"""The report's blind test: which of two copies is nearer to the original, names hidden.

The rounds are drawn and counted in the page by report.js, from the players further
down: each carries the sound, the mel and the vocoder it is of. Nothing is stored.
"""

import hashlib
from base64 import b64encode
from importlib.resources import files

_CHOICES = (("a", "A is nearer", "1"), ("none", "No difference", "0"), ("b", "B is nearer", "2"))


def blind_script() -> str:
    """The page's one script."""
    return files("artifacts").joinpath("report.js").read_text(encoding="utf-8")


def script_source(script: str) -> str:
    """What a Content-Security-Policy calls this inline script: no other one may run."""
    return f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def blind_section() -> str:
    """The test's empty frame; without a script it says that it needs one."""
    players = "".join(
        f'<div class="voice"><p>{name} <kbd>{name[0]}</kbd></p>'
        f'<audio id="blind-{key}" controls aria-label="{name}"></audio></div>'
        for key, name in (("original", "Original"), ("a", "A"), ("b", "B"))
    )
    buttons = "".join(
        f'<button type="button" data-choice="{choice}" disabled>{text} <kbd>{key}</kbd></button>'
        for choice, text, key in _CHOICES
    )
    return (
        '<section id="blind" aria-labelledby="blind-title"><h2 id="blind-title">Blind test</h2>'
        '<p class="lead">Which copy is nearer to the original? You are not told which vocoder '
        "made it before you stop. All are played equally loud, in random order, and nothing "
        "leaves this page or outlives it.</p>"
        "<noscript><p>This test needs JavaScript. Everything else here works without.</p>"
        '</noscript><div class="sheet" id="blind-sheet" hidden>'
        '<form id="blind-start"><label for="blind-kind">Compare</label> '
        '<select id="blind-kind"></select> <button type="submit">Begin</button> '
        '<span id="blind-count" class="quiet"></span></form>'
        '<div id="blind-round" hidden><p><strong id="blind-progress" role="status"></strong></p>'
        f'<div class="voices">{players}</div>'
        f'<div class="choices" role="group" aria-label="Your choice">{buttons}</div>'
        '<p class="quiet" id="blind-hint"></p>'
        '<button type="button" id="blind-stop">Stop and reveal</button></div>'
        '<div id="blind-result" tabindex="-1" hidden></div></div></section>'
    )
