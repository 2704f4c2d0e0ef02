import importlib

import pytest

import glyphsight

FACE = [
    "Model",
    "PUBLISHED",
    "Answer",
    "Profile",
    "Record",
    "__version__",
    "decode",
    "encode",
    "encode_batch",
    "load",
    "load_dataset",
    "parse",
    "see",
]


def test_the_public_names_are_these():
    assert sorted(glyphsight.__all__) == sorted(FACE)
    assert sorted(dir(glyphsight)) == sorted(FACE)


@pytest.mark.parametrize("name", FACE)
def test_every_public_name_is_there(name):
    assert getattr(glyphsight, name) is not None


@pytest.mark.parametrize("folder", ["codec", "sources", "dataset"])
def test_every_name_a_folder_promises_is_there(folder):
    module = importlib.import_module(f"glyphsight.{folder}")
    for name in module.__all__:
        assert hasattr(module, name)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'glyphsight' has no attribute 'hear'"):
        _ = glyphsight.hear
