"""What tests/rings.py removes, and that nothing is removed here."""

import pytest

import autograd_cnn as ag
from rings import ROOT, copy_of

NAMES = "Graph data distributed get_num_threads interop linalg profile report set_num_threads trace training"


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_of_a_ring_is_on_the_face(name):
    assert getattr(ag, name).__doc__ and name in ag.__all__


def test_a_copy_lacks_other_rings_and_the_tests_that_need_them(tmp_path):
    copy_of("studio", tmp_path / "copy")
    kept = "autograd_cnn/studio", "tests/studio/test_page.py", "tests/engine"
    gone = "autograd_cnn/data", "autograd_cnn/training", "tests/data", "tests/studio/training", "tests/together"
    for path in kept + gone:
        assert (ROOT / path).exists()
        assert (tmp_path / "copy" / path).exists() == (path in kept)
