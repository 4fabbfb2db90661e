"""The live page: programs as it runs them, what the page contains, and a Python that has as little as a browser's."""

import base64
import hashlib
import io
import itertools
import json
import os
import re
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from autograd_cnn.engine.registry import registry
from autograd_cnn.studio.live import page as live
from autograd_cnn.studio.live.run import MOST, run
from studio.hostile import NAMES
from studio.pages import facts_of

EXAMPLES = Path(live.__file__).parent / "examples"
DOCS = Path(__file__).parents[2] / "docs" / "live.md"
TRACE = "import autograd_cnn as ag\ndef f(x):\n    return ag.exp(x)\n"


@pytest.fixture
def result():
    """Run a program: its result, and the text that it printed."""

    def result(source):
        printed = []
        return next(run(source, printed.append)), "".join(printed)

    return result


@pytest.mark.parametrize("name", live.EXAMPLES)
def test_every_example_ends_in_a_player_or_trains(name):
    program = run(live.example(name), [].append)
    found = next(program)
    if found["trains"]:
        losses = [program.send(0)["losses"][0] for _ in range(30)]
        assert losses[-1] < losses[0] / 1.1 and program.send(0)["picture"].startswith("data:image/png")
        found = next(program)
    assert found["error"] == "" and found["page"].startswith("<!doctype html>")


def test_the_examples_are_those_of_the_folder():
    own = {f"live/examples/{path.name}" for path in EXAMPLES.glob("*.py")}
    demos = {name for name in live.EXAMPLES if name.startswith("player/demos/")}
    assert set(live.EXAMPLES) == own | demos


def test_a_demo_is_in_the_menu_without_what_makes_its_page():
    menu = json.loads(re.search(r'id="examples">(.*?)</script>', live.page())[1])
    source, (title, shown) = live.example("player/demos/spiral.py"), menu[2]
    assert title == "A network of two layers learns two spirals" and shown == source
    assert source.endswith("return image.astype(np.uint8)") and menu[0][1].endswith(".show()")


def test_the_example_with_mistakes_is_found_out(result):
    wrong = facts_of(result(live.example("player/demos/broken.py"))[0]["page"])["frames"][0]["wrong"]
    assert {name for *_, name in wrong} == {"shrink", "mix", "shift", "larger", "middle"}


def test_the_dead_relu_lives_with_another_bias(result):
    source = (EXAMPLES / "dead_relu.py").read_text()
    assert " 0.        ]" in result(source)[1]
    assert " 0.        ]" not in result(source.replace("[0.0, -1.0]", "[0.0, 4.0]"))[1]


@pytest.mark.parametrize(("last", "shown"), [
    ("ag.trace(f, 2.0)", True), ("ag.trace(f, 2.0).page()", True), ("ag.trace(f, 2.0).show(); 1", True), ("1", False),
])  # fmt: skip
def test_the_last_value_is_shown_or_printed(result, last, shown):
    found, printed = result(TRACE + last)
    assert ("loss 7.389" in found["page"]) == shown and found["error"] == ""
    assert printed == ("1\n" if last.endswith("1") else "")


@pytest.mark.parametrize(("source", "line", "message"), [
    (TRACE + "ag.trace(f, 'x')", 3, "TypeError: exp: "),
    ("1\nx = (1,\n", 2, "SyntaxError: '(' was never closed"),
    ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ("import sys\nsys.exit(3)", 2, "SystemExit: 3"),
    ("import json\n\njson.loads('{')", 3, "json.decoder.JSONDecodeError: "),
    (TRACE + "ag.trace(3, 1.0)", 4, "TypeError: trace: it draws what"),
])  # fmt: skip
def test_an_error_has_its_message_and_its_line(result, source, line, message):
    found, _ = result(source)
    assert found["line"] == line and found["error"].startswith(message) and found["page"] == ""


def test_a_function_that_fails_under_trace_shows_its_graph(result):
    function = "import autograd_cnn as ag\ndef f(x):\n    h = ag.sin(x)\n    return h @ x\n"
    found, _ = result(function + "ag.trace(f, ag.Tensor([[1.0, 2.0]]))")
    assert found["line"] == 4 and "2 is not 1" in found["error"] and "error.graph" not in found["error"]
    assert "fails in matmul (program:4)</title>" in found["page"]


def test_our_message_names_the_line_of_the_editor(result):
    found, _ = result("import autograd_cnn as ag\nimport numpy as np\nag.Tensor(np.ones((2, 3))) @ np.ones((2, 3))")
    assert "3 is not 2" in found["error"] and "at line 3" in found["error"]


def test_a_run_leaves_nothing_to_the_next(result):
    before = list(warnings.filters)
    source = live.example("player/demos/broken.py")
    assert result(source) == result(source)
    assert "shrink" not in dir(ag)
    assert result("import warnings\nwarnings.simplefilter('error')")[0]["error"] == ""
    assert warnings.filters == before
    draw = "import autograd_cnn as ag\nprint(ag.nn.Linear(2, 2).w.data)"
    assert result(draw) == result(draw)


def test_the_player_shows_the_source_of_this_run(result):
    result(TRACE + "ag.trace(f, 2.0)")
    page = result(TRACE.replace("ag.exp(x)", "ag.exp(x) * 3") + "ag.trace(f, 2.0)")[0]["page"]
    assert "ag.exp(x) * 3" in str(facts_of(page))


@pytest.fixture
def training():
    """Start a program that trains: a generator, which takes seconds, and its first moment."""

    def training(source):
        program = run(source, [].append)
        return program, next(program)

    return training


def in_the_docs():
    """The program that the page about the live page shows."""
    return re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[1]


def test_the_player_opens_on_the_latest_step_with_the_numbers_that_it_had(training):
    program, start = training(in_the_docs())
    assert start["trains"] and start["losses"] == [] and next(program)["page"] == ""
    losses = [loss for seconds in (0, 0, 1e-3) for loss in program.send(seconds)["losses"]]
    assert len(losses) > 2 and losses == sorted(losses, reverse=True)
    for _ in range(2):  # the step is not made again
        facts = str(facts_of(next(program)["page"]))
        assert repr(losses[-1]) in facts and repr(losses[-2]) not in facts
    assert program.send(0)["losses"][0] < losses[-1]


def test_the_program_of_the_docs_trains_outside_of_the_page_too():
    names = {}
    exec(in_the_docs(), names)
    assert [names["step"]().item() for _ in range(200)][-1] < 1e-3


STEP = """import autograd_cnn as ag
w, made = ag.Tensor([[2.0, 3.0]], requires_grad=True, name="w"), []
def step():
    made.append(1)
    h = ag.exp(-w)
    return (h if len(made) != 37 else h @ h).sum()
"""


def test_a_step_that_fails_ends_the_training_and_shows_its_graph(training):
    picture = "def picture():\n    'Steps.\\n\\nMore.'\n    return np.full((1, 1, 3), len(made), np.uint8)\n"
    program, start = training(f"{STEP}import numpy as np\n{picture}")
    moment = program.send(1000)
    assert len(moment["losses"]) == 36 and not moment["trains"] and moment["picture"] not in ("", start["picture"])
    assert moment["caption"] == "Steps."
    assert moment["error"].startswith("ValueError: matmul: (1, 2) @ (1, 2)") and moment["line"] == 6
    assert "fails in matmul (program:6)</title>" in moment["page"]
    with pytest.raises(StopIteration):
        next(program)


@pytest.mark.parametrize(("source", "message"), [
    (STEP.replace(".sum()", ""), "TypeError: step: it returned Tensor"),
    (STEP.replace(".sum()", ".sum().item()"), "TypeError: step: it returned float 0.18512"),
    (STEP.replace("return", "_ ="), "TypeError: step: it returned None, want the loss, a Tensor of one number"),
    (STEP + "def picture():\n    return w.data", "TypeError: picture: it returned float64 (1, 2), want uint8"),
])  # fmt: skip
def test_a_wrong_result_of_step_or_picture_is_refused(training, source, message):
    program, moment = training(source)
    moment = moment if moment["error"] else program.send(0)
    assert moment["error"].startswith(message) and not moment["trains"]


@pytest.mark.parametrize("source", ["for step in 0, 1: print(step)", "def step(x): print(x)\nstep(0); step(1)"])
def test_a_program_with_another_use_of_the_name_step_is_an_ordinary_one(result, source):
    found, printed = result(source)
    assert not found["trains"] and found["error"] == "" and printed == "0\n1\n"


def test_a_training_has_its_own_operations_until_it_ends(training):
    source = STEP.replace("ag.exp(-w)", "twice(w)") + "@ag.primitive\ndef twice(x):\n    return 2 * x\n"
    program, _ = training(source + "twice.vjp(x=lambda g: 2 * g)")
    assert program.send(0)["losses"] == [10] and "twice" in next(program)["page"] and "twice" in registry
    program.close()
    assert "twice" not in registry


def test_output_without_end_is_shown_in_part(result):
    found, printed = result(f"import sys\nprint('first', file=sys.stderr)\nfor _ in range(3): print('x' * {MOST // 2})")
    assert found["error"] == "" and printed.startswith("first\nxxx")
    assert len(printed) < MOST + 100 and printed.endswith("shows no more than 100,000 characters)\n")


def test_the_zip_is_the_package_and_the_same_each_time(tmp_path):
    data = live.packed()
    assert data == live.packed()
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    for name in "__init__.py", "studio/player/page.html", "studio/picture/svg.css", "studio/live/run.py":
        assert (tmp_path / "autograd_cnn" / name).read_bytes() == (Path(ag.__file__).parent / name).read_bytes()
    assert not list(tmp_path.rglob("*.pyc"))


def test_the_page_asks_for_pinned_files_only():
    text = live.page()
    policy = text.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    allowed = policy.partition("connect-src ")[2].partition(";")[0].split()
    assert len(allowed) == len(live.FILES) == text.count('"integrity":"sha256-')
    assert all(url.startswith("https://cdn.jsdelivr.net/") and live.VERSION in url for url in allowed)
    assert len(text) < 1_000_000


def test_the_command_writes_the_page(tmp_path, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    assert main(["live"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>") and opened == [path.resolve().as_uri()]
    assert main(["live", "here", "--no-open"]) == 0 and len(opened) == 1
    assert capsys.readouterr().out == f"{Path('here', 'live.html')}\n" and Path("here", "live.html").exists()


def test_a_wrong_or_missing_file_of_pyodide_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_CNN_PYODIDE", str(tmp_path))
    assert main(["live", "--offline", str(tmp_path / "page"), "--no-open"]) == 2
    assert "pyodide.js" in capsys.readouterr().err
    (tmp_path / "pyodide.js").write_bytes(b"alert(1)")
    assert main(["live", "--offline", str(tmp_path / "page"), "--no-open"]) == 2
    assert "not the file of Pyodide 0.27.7, whose SHA-256 is b4cb23a5" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_files_of_pyodide_are_downloaded_and_checked(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("AUTOGRAD_CNN_PYODIDE", raising=False)
    asked = []

    def serve(url, timeout):
        asked.append(url)
        return io.BytesIO(b"pyodide")

    monkeypatch.setattr("urllib.request.urlopen", serve)
    sha256 = hashlib.sha256(b"pyodide").hexdigest()
    monkeypatch.setattr(live, "FILES", {"a.js": ("https://one/", 7, sha256), "b.js": ("https://two/", 7, sha256)})
    assert main(["live", "--offline", str(tmp_path), "--no-open"]) == 0
    assert asked == ["https://one/a.js", "https://two/b.js"]
    assert "connect-src 'none'" in (tmp_path / "live.html").read_text(encoding="utf-8")
    monkeypatch.setattr(live, "FILES", {"a.js": ("https://one/", 6, sha256[::-1])})
    assert main(["live", "--offline", str(tmp_path), "--no-open"]) == 2
    assert "https://one/a.js: not the file of Pyodide" in capsys.readouterr().err


def test_without_a_network_the_command_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("AUTOGRAD_CNN_PYODIDE", raising=False)

    def refuse(url, timeout):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert main(["live", "--offline", str(tmp_path), "--no-open"]) == 2
    message = f"{live.NPM}pyodide.js: no route to host. Files from elsewhere: AUTOGRAD_CNN_PYODIDE=FOLDER\n"
    assert capsys.readouterr().err == message and os.listdir(tmp_path) == []


@pytest.fixture
def offline(browser, tmp_path):
    """A tab of a browser without a network, with the page in a file, and what is raised in it."""
    (tmp_path / "live.html").write_text(live.page(), encoding="utf-8")
    context = browser.new_context(offline=True)
    opened, raised = context.new_page(), []
    opened.on("pageerror", lambda error: raised.append(str(error)))
    opened.on("dialog", lambda dialog: raised.append(dialog.message))
    yield opened, (tmp_path / "live.html").as_uri(), raised
    context.close()


@pytest.mark.slow
def test_a_program_in_an_address_stays_text(offline):
    """Without Python, which the page would fetch: the editor alone."""
    opened, address, raised = offline
    for name in NAMES.values():
        code = f"x = 1  # {name}".encode(errors="replace").decode()
        packed = zlib.compress(code.encode(), wbits=-15)
        opened.goto("about:blank")
        opened.goto(f"{address}#code={base64.urlsafe_b64encode(packed).decode().rstrip('=')}")
        opened.wait_for_selector("#status:has-text('could not be loaded')")
        shown = opened.input_value("#code")
        assert shown == code.replace("\r\n", "\n") and opened.title() == "autograd_cnn, live" and not raised


@pytest.mark.slow
def test_edits_stay_in_a_page_that_may_store_nothing(offline, tmp_path):
    """In a frame without an origin, as a viewer of documents shows a page."""
    opened, _, raised = offline
    (tmp_path / "viewer.html").write_text('<iframe sandbox="allow-scripts" src="live.html"></iframe>')
    opened.goto((tmp_path / "viewer.html").as_uri())
    frame = opened.frames[1]
    frame.wait_for_selector("#status:has-text('could not be loaded')")
    first = frame.input_value("#code")
    frame.fill("#code", "x = 1")
    frame.select_option("#example", index=1)
    assert frame.input_value("#code") not in (first, "x = 1")
    frame.select_option("#example", index=0)
    assert frame.input_value("#code") == "x = 1" and raised == []


def test_what_is_drawn_is_the_input_of_the_next_player():
    program = run(live.example("live/examples/cnn.py"), lambda _: None)
    assert next(program)["draws"] == "x"
    program.send(0)
    frames = [facts_of(program.send(order)["page"])["frames"][0] for order in (None, [[3, 4, 9.5], [0, 7, -2]])]
    before, after = (next(v for v in f["values"].values() if v["name"] == "x")["array"]["elements"] for f in frames)
    changed = {i: float(b) for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    assert changed == {3 * 8 + 4: 9.5, 7: -2} and frames[0]["summary"] != frames[1]["summary"]
    program.send(0)  # goes on with the training, and keeps what is drawn
    again = facts_of(program.send(None)["page"])["frames"][0]
    assert next(v for v in again["values"].values() if v["name"] == "x")["array"]["elements"] == after


def test_the_image_of_a_program_is_not_drawn_on_and_a_slow_picture_takes_a_third_of_the_time(training, monkeypatch):
    source = f"{STEP}import numpy as np\nimage = np.zeros((1, 2, 2, 1))\n"
    source += "def draw(x=image):\n    assert not image.any()\n    return ag.trace(lambda x: (x * x).sum(), x)\n"
    monkeypatch.setattr("autograd_cnn.studio.live.run.perf_counter", itertools.count().__next__)  # a second each
    program, _ = training(f"{source}def picture():\n    return np.zeros((1, 1, 3), np.uint8)\n")
    assert not program.send([[0, 1, 5.0]])["error"]
    assert [len(program.send(1)["losses"]) for _ in range(2)] == [1, 2]  # the first picture takes a second


@pytest.mark.parametrize("source", ["def draw(): pass", "def draw(x): pass", "def draw(x=1): pass", "draw = 3"])
def test_another_function_called_draw_draws_nothing(source):
    assert next(run(source, lambda _: None))["draws"] == ""
