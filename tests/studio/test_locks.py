"""Pictures are drawn where the system has no locks."""

WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = sys.modules["msvcrt"] = None
import autograd_cnn as ag
x = ag.Tensor([1.0, 2.0], requires_grad=True, name="x")
loss = (x * x).sum()
loss.graph().save("picture.svg")
loss.graph().save("player.html")
print([open(name).read(5) for name in ("picture.svg", "player.html")])
"""


def test_a_system_without_locks_draws_pictures_too(python, tmp_path, monkeypatch):
    """WebAssembly has no fcntl."""
    monkeypatch.chdir(tmp_path)
    assert python(WITHOUT_FCNTL) == "['<svg ', '<!doc']\n"
