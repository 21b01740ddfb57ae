import re

from artifacts.model_card import card

MANIFEST: dict[str, object] = {
    "name": "kit",
    "preset": "quick",
    "seed": 3,
    "distill_version": "0.1.0",
    "mel": {"sample_rate": 44_100},
    "train": {"files": 195, "seconds_of_audio": 754.0},
    "sizes": {"codebook_size": 64, "levels": 8},
    "health": {"utilisation": [1.0, 0.97], "perplexity": [24.2, 31.0]},
    "metrics": {
        "reconstruction": {"log_mel_l1": 0.389, "vae_log_mel_l1": 0.423},
        "prior": {"nats_per_frame": 9.13, "overlap_8gram": 0.012, "overlap_8gram_real": 0.035},
        "vocoders": {"freev": {"log_mel_l1": 0.109, "mr_stft": 1.085}},
    },
    "vocoder": "freev",
    "gates": {"copying": {"value": 0.01, "limit": 0.07, "passed": True, "text": "It invents."}},
    "licences": {"model": "as the sounds"},
}


def test_card_says_what_it_was_made_from() -> None:
    assert "195 sounds (12 min 34 s of audio)" in card(MANIFEST)
    assert "preset quick, seed 3, Distill 0.1.0" in card(MANIFEST)


def test_card_says_how_to_use_it() -> None:
    assert "distill generate FILE.distill" in card(MANIFEST)
    assert "44100 Hz" in card(MANIFEST)


def test_card_holds_every_section() -> None:
    assert re.findall(r"^## (.+)$", card(MANIFEST), re.MULTILINE) == [
        "Use",
        "Checks",
        "Sizes",
        "Codebooks",
        "Reconstruction",
        "Prior",
        "Vocoders",
        "Licences",
    ]


def test_card_holds_the_numbers() -> None:
    text = card(MANIFEST)
    assert "- codebook size: 64" in text
    assert "| 2 | 97% | 31 |" in text
    assert "0.389. Held-out sounds come back 3.4 dB off" in text  # .389 * 20 log10(e) = 3.38
    assert "Copied passages: 1.2%" in text
    assert "| FreeV | 0.109 | 1.085 |" in text
    assert "- **copying** passed (0.01, limit 0.07): It invents." in text


def test_card_has_no_date() -> None:
    assert not re.search(r"\b(19|20)\d\d\b", card(MANIFEST))


def test_equal_manifests_give_equal_cards() -> None:
    assert card(dict(reversed(list(MANIFEST.items())))) == card(MANIFEST)


def test_names_cannot_break_the_markdown() -> None:
    text = card({**MANIFEST, "name": "a\n# b <script> | [x](y) `z`"})
    assert text.splitlines()[0] == r"# a \# b \<script\> \| \[x\](y) \`z\`"


def test_empty_manifest_still_gives_a_card() -> None:
    assert card({}).startswith("# unknown\n")
    assert card({}).endswith("unknown.\n")


GONE_ON: dict[str, object] = {
    **MANIFEST,
    "parent": {
        "name": "old_kit",
        "sha256": "0123456789abcdef" * 4,
        "begun_anew": {"prior": "its codes are others"},
    },
    "metrics": {
        "memory": {
            "old": {
                "sounds": 3,
                "log_mel_l1_before": 0.257,
                "log_mel_l1": 0.2479,
                "nats_per_frame_before": None,
                "nats_per_frame": None,
            },
            "new": {"sounds": 0},
        }
    },
}


def test_card_says_what_the_model_goes_on_from_and_what_it_kept() -> None:
    text = card(GONE_ON)
    assert "- goes on from old\\_kit (0123456789ab)" in text
    assert "- prior began anew: its codes are others" in text
    assert "Old sounds through the codes (log-mel L1), before / now: 0.257 / 0.2479." in text
    assert "Held out: 3 that the model before held out too." in text


def test_card_leaves_out_what_was_not_measured() -> None:
    assert "surprise" not in card(GONE_ON)
    assert "New sounds through" not in card(GONE_ON)
