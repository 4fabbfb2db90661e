"""Errors of graphs, pictures and programs: each program, and the error that it must end in."""

import runpy

import numpy as np
import pytest

import autograd_cnn as ag
from studio.programs import leaf

SUFFIXES = "There are .html, .svg, .dot, .py, .png and .pdf"
DRAWS = "TypeError: trace: it draws what a function does to tensors; you passed"
HISTORY = "It was made under no_grad(), or detached, or by a step such as np.round, or no input requires a gradient"
OVERLAYS = "There are time, flops, bytes, gradient, zeros"
DEPTHS = "want 0 (everything closed) to 1 (all operations)"
TIMES = "want the number of extra runs, such as repeat=3"
ERRORS = {
    "ag.trace(loss)": f"{DRAWS} loss, a Tensor: loss.graph(), or ag.trace(loss_of, x, y)",
    "ag.trace(3)": f"{DRAWS} 3: ag.trace(loss_of, x, y)",
    "ag.trace(float, 3.0)": "TypeError: trace: float returned float 3.0, want a Tensor",
    "ag.trace(lambda x, k1: x * k1, 3.0, k1=2.0)": "TypeError: trace: has no parameter 'k1'. Pass what f takes by "
    "position, or ag.trace(lambda x: f(x, k1=...), x)",
    "ag.trace(lambda x: x, 3.0, repeats=2)": "TypeError: trace: has no parameter 'repeats'. Did you mean 'repeat'?",
    "ag.trace(lambda x: None, 3.0)": "TypeError: trace: <lambda> returned None, want a Tensor",
    "ag.trace(lambda x: x * x, 3)": "TypeError: trace: <lambda> returned int 9, want a Tensor. Integers have no "
    "gradient: pass 3.0",
    "ag.trace(square, 3.0, repeat=-1)": f"ValueError: trace: repeat is -1, {TIMES}",
    "ag.trace(square, 3.0, repeat=1.5)": f"ValueError: trace: repeat is 1.5, {TIMES}",
    "ag.trace(square, 3.0, repeat='time')": f"ValueError: trace: repeat is 'time', {TIMES}",
    "ag.trace(lambda x: x * 2, np.arange(3))": f"ValueError: graph: this tensor has no history. {HISTORY}",
    "ag.Tensor(1.0, name='x').graph()": f"ValueError: graph: x has no history. {HISTORY}",
    "graph.save('net.py', depth=0)": "ValueError: graph: .py takes no depth. It takes standalone",
    "graph.save('net.html', depth=1)": "ValueError: graph: .html takes no depth. It takes frames, quiz, source, images "
    "and classes",
    "graph.save('net.svg', quiz=True)": "ValueError: graph: .svg takes no quiz. It takes depth and overlay",
    "graph.save('net.png', standalone=True)": "ValueError: graph: .png takes no standalone. It takes depth and overlay",
    "graph.save('net.jpeg')": f"ValueError: graph: 'net.jpeg' ends in '.jpeg'. {SUFFIXES}",
    "graph.program(standalone=True)": "ValueError: program: a standalone one takes all arrays, which a tape has not "
    "saved: ag.trace(f, ...)",
    "graph.svg(-1)": f"ValueError: graph: depth is -1, {DEPTHS}",
    "graph.svg('a')": f"ValueError: graph: depth is 'a', {DEPTHS}",
    "graph.svg(1.5)": f"ValueError: graph: depth is 1.5, {DEPTHS}",
    "graph.svg(overlay='heat')": f"ValueError: graph: overlay is 'heat'. {OVERLAYS}",
    "graph.svg(overlay=['time'])": f"ValueError: graph: overlay is ['time']. {OVERLAYS}",
    "graph.svg(overlay='time')": "ValueError: graph: no time was taken. ag.trace(f, *args, repeat=3) does, of several "
    "runs the shortest",
    "graph.svg(overlay='gradient')": "ValueError: graph: the numbers are not at hand. ag.trace(f, ...) keeps what it "
    "takes to compute them",
    "walked.svg(overlay='bytes')": "ValueError: graph: the saved arrays were freed. Take the graph before backward()",
    **dict.fromkeys(
        ("walked.program()", "walked.page()", "walked.show()"),
        "RuntimeError: program: the arrays of tanh (test_messages.py:{line}) were freed by backward(). Do it before "
        "backward(), or keep them: backward(retain_graph=True), or ag.trace(f, ...)",
    ),
    "program.run(z=1)": "TypeError: program: has no z. It begins with x, y",
    "program.run(x=x)": "TypeError: program: no array for y. Pass run(y=array), or use ag.trace(f, ...), which copies "
    "all inputs",
    "ag.checkpoint(ag.sin, x).graph().program()": "ValueError: program: checkpoint of sin keeps no operations. "
    "ag.trace(f, ...) runs it and records them",
}


def walked():
    loss = ag.sum(ag.tanh(leaf(np.ones(3), "x")))
    loss.backward()
    return loss.graph()


@pytest.mark.parametrize("program", ERRORS)
def test_an_error(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, w = leaf(np.ones(3), "x"), leaf(np.ones(3), "w")
    with ag.scope("net"):
        h = ag.sin(ag.tanh(w))
    scope = {"graph": h.sum().graph(), "program": ag.sum(x + leaf(np.ones(3), "y")).graph().program()}
    scope |= {"ag": ag, "np": np, "x": x, "loss": ag.Tensor(1.0, name="loss"), "walked": walked()}
    with pytest.raises(Exception) as caught:
        eval(program, scope | {"square": lambda x: x * x})
    wanted = ERRORS[program].replace("{line}", str(walked.__code__.co_firstlineno + 1))
    assert f"{type(caught.value).__name__}: {caught.value}" == wanted
    assert not any(tmp_path.iterdir())


def test_a_graph_is_not_saved_over_its_program(tmp_path):
    program = "import autograd_cnn as ag\nag.trace(ag.sin, 1.0).save(__file__)\n"
    (tmp_path / "net.py").write_text(program)
    with pytest.raises(ValueError, match=r"net\.py is this program itself\. Give another name"):
        runpy.run_path(str(tmp_path / "net.py"))
    assert (tmp_path / "net.py").read_text() == program
