import json

import pytest

from artifacts.refs import Ref

REF = Ref("prior", "d1", {"weights": "d2", "notes": "d3"})


def test_a_ref_survives_json() -> None:
    assert Ref.from_json(json.loads(json.dumps(REF.to_json()))) == REF
    assert Ref.from_json(json.loads(json.dumps(Ref("mels", "d").to_json()))) == Ref("mels", "d")


def test_json_of_a_ref_names_kind_digest_and_parts() -> None:
    assert Ref("mels", "d", {"a": "e"}).to_json() == {
        "kind": "mels",
        "digest": "d",
        "parts": {"a": "e"},
    }


def test_digests_are_the_blob_and_all_its_parts() -> None:
    assert REF.digests() == ["d1", "d2", "d3"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "mels", "digest": "d"},
        {"kind": "mels", "parts": {}},
        {"digest": "d", "parts": {}},
        {"kind": "mels", "digest": "d", "parts": ["e"]},
        {"kind": "mels", "digest": "d", "parts": None},
    ],
)
def test_what_is_no_ref_is_refused(data: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Ref.from_json(data)
