"""BigVGAN from its pinned files: the official sound, loaded once, kept and freed."""

import gc
import json
import os
import weakref
from pathlib import Path

import pytest
import torch
from bigvgan_golden import pinned, placed, tiny_files, tiny_sound

from artifacts.bigvgan import KeptBigvgan, check_playable
from core.config import MelConfig
from core.errors import HubError, VocoderError

CPU, MEL = torch.device("cpu"), MelConfig()


def nothing_is_fetched(_here: int, _in_all: int) -> None:
    raise AssertionError("the files are placed by hand")


class Malicious:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def kept() -> KeptBigvgan:
    return KeptBigvgan(pinned(tiny_files()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return placed(tmp_path / "bigvgan", tiny_files())


def test_placed_files_give_the_official_wave(kept: KeptBigvgan, folder: Path) -> None:
    log_mel, audio = tiny_sound()
    wave = kept.vocoder(folder, MEL, CPU, nothing_is_fetched).wave(log_mel.T)
    torch.testing.assert_close(wave, audio, atol=1e-5, rtol=0)


def test_it_is_kept_for_the_next_sound_though_the_files_be_gone(
    kept: KeptBigvgan, folder: Path
) -> None:
    first = kept.vocoder(folder, MEL, CPU, nothing_is_fetched)
    (folder / "bigvgan_generator.pt").unlink()
    assert kept.vocoder(folder, MEL, CPU, nothing_is_fetched) is first
    assert kept.vocoder(None, MEL, CPU, nothing_is_fetched) is first


def test_it_is_freed_on_request(kept: KeptBigvgan, folder: Path) -> None:
    vocoder = kept.vocoder(folder, MEL, CPU, nothing_is_fetched)
    weights, log_mel = weakref.ref(vocoder.generator.conv_pre.weight), tiny_sound()[0].T
    wave = vocoder.wave(log_mel)
    del vocoder
    kept.free()
    gc.collect()
    assert weights() is None
    again = kept.vocoder(folder, MEL, CPU, nothing_is_fetched)
    assert torch.equal(again.wave(log_mel), wave)


def test_another_device_gets_its_own(kept: KeptBigvgan, folder: Path) -> None:
    first = kept.vocoder(folder, MEL, CPU, nothing_is_fetched)
    meta = kept.vocoder(folder, MEL, torch.device("meta"), nothing_is_fetched)
    assert meta is not first
    assert meta.generator.conv_pre.weight.is_meta


@pytest.mark.parametrize(("units", "numbers"), [(True, "bfloat16"), (False, "float32")])
def test_its_identity_is_the_weights_and_the_numbers(
    kept: KeptBigvgan, folder: Path, monkeypatch: pytest.MonkeyPatch, units: bool, numbers: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    kept.vocoder(folder, MEL, CPU, nothing_is_fetched)
    assert kept.identity() == {
        "repo": "someone/model",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        # sha256sum tests/golden/bigvgan_tiny_generator.pt
        "sha256": "a183499d124a862dd0d779641ab7c5f8c0d78a2e1313b95b835c35ab848d0270",
        "numbers": numbers,
    }


def test_other_files_than_the_pinned_are_refused(kept: KeptBigvgan, folder: Path) -> None:
    config = folder / "config.json"
    config.write_bytes(config.read_bytes().replace(b"44100", b"48000"))
    with pytest.raises(HubError, match=r"config\.json holds other bytes.*with --bigvgan-dir"):
        kept.vocoder(folder, MEL, CPU, nothing_is_fetched)


def test_code_in_a_checkpoint_is_not_run_even_if_it_were_pinned(tmp_path: Path) -> None:
    torch.save({"generator": Malicious(tmp_path / "ran")}, tmp_path / "code.pt")
    files = {**tiny_files(), "bigvgan_generator.pt": (tmp_path / "code.pt").read_bytes()}
    folder = placed(tmp_path / "bigvgan", files)
    with pytest.raises(HubError, match="could run code"):
        KeptBigvgan(pinned(files)).vocoder(folder, MEL, CPU, nothing_is_fetched)
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_their_config_are_refused(tmp_path: Path) -> None:
    config = {**json.loads(tiny_files()["config.json"]), "upsample_initial_channel": 128}
    files = {**tiny_files(), "config.json": json.dumps(config).encode()}
    folder = placed(tmp_path / "bigvgan", files)
    with pytest.raises(VocoderError, match="weights do not fit its config"):
        KeptBigvgan(pinned(files)).vocoder(folder, MEL, CPU, nothing_is_fetched)


def test_distills_mels_are_playable_and_legacy_ones_are_not() -> None:
    check_playable(MEL)
    with pytest.raises(VocoderError, match="mel_type is htk_log1p where it wants slaney_logclamp"):
        check_playable(MelConfig(mel_type="htk_log1p"))
