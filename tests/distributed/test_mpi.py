"""Ranks on MPI, where it is: as if one rank had made the run, and what fails or hangs is named."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.training.ranks import Ranks
from distributed.thread_ranks import training

MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
HAS_MPI = MPIRUN and importlib.util.find_spec("mpi4py")
PROGRAM = """
import os, sys
from pathlib import Path
import numpy as np
import autograd_cnn as ag
sys.path.insert(0, {tests!r})
from distributed.thread_ranks import cnn, images, training
ranks = ag.distributed.ranks()
{body}
"""
ALONE = {"AUTOGRAD_CNN_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@pytest.fixture
def mpirun(tmp_path):
    """Run a program on `size` ranks; return the finished process, with texts."""
    if not HAS_MPI:
        pytest.skip("mpirun or mpi4py is not installed: [mpi]")

    def run(size, body, *arguments, script=None, timeout=600):
        if script is None:
            script = tmp_path / "program.py"
            script.write_text(PROGRAM.format(tests=str(Path(__file__).parents[1]), body=body))
        version = subprocess.run([MPIRUN, "--version"], capture_output=True, text=True, check=True).stdout
        options = ["--oversubscribe"] if "Open MPI" in version else []
        command = [MPIRUN, *options, "-n", str(size), sys.executable, str(script), *map(str, arguments)]
        environment = {**os.environ, **ALONE, "PYTHONPATH": os.pathsep.join(sys.path)}
        ways = {"cwd": tmp_path, "env": environment, "timeout": timeout, "capture_output": True, "text": True}
        return subprocess.run(command, check=False, **ways)

    return run


SAVE = "np.savez(f'of-{ranks.size}-{ranks.rank}', losses=history.losses, **weights)"


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 2)])
def test_a_run_on_mpi_resumes_on_another_number_of_ranks_as_if_one_had_made_it(mpirun, tmp_path, before, after):
    for size, steps in ((before, 5), (after, 9)):
        options = f"epochs=None, steps={steps}, checkpoint='c', augment=ag.data.augment"
        done = mpirun(size, f"history, weights = training({options})(ranks)\n{SAVE}")
        assert done.returncode == 0, done.stderr
    history, _ = training(augment=ag.data.augment)(Ranks())
    first, *others = (np.load(tmp_path / f"of-{after}-{rank}.npz") for rank in range(after))
    np.testing.assert_allclose(first["losses"], history.losses, rtol=1e-5)
    assert all(first[name].tobytes() == other[name].tobytes() for other in others for name in first)


FAILING = """
def augment(x, rng):
    if ranks.rank == 1 and Path("c").exists():
        {failure}
    return x
training(epochs=20, checkpoint="c", augment=augment)(ranks)
"""
FAILURES = {
    "killed": ("os.kill(os.getpid(), 9)", "signal 9"),
    "raises": ("raise ValueError('no such class: 11')", "ValueError: no such class: 11"),
    "exits": ("sys.exit(3)", "rank 1 of 2 ends the job"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("failure", "message"), FAILURES.values(), ids=FAILURES)
def test_a_rank_that_fails_ends_the_job_and_its_checkpoint_resumes(mpirun, failure, message):
    done = mpirun(2, FAILING.format(failure=failure), timeout=30)  # an end by time would be an error
    assert done.returncode != 0 and message in done.stderr + done.stdout
    done = mpirun(2, "history, weights = training(checkpoint='c', epochs=20)(ranks); print(len(history.losses))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["60", "60"]


HANGING = {
    "an error outside of fit": ("if ranks.rank == 1: raise OSError('no data here')\nranks.broadcast(cnn())",
                                "OSError: no data here"),
    "validation on rank 0 alone": ("training(epochs=1, validation=None if ranks.rank else images(5))(ranks)",
                                   "validation is 'missing' on rank 1, and 'given' on rank 0"),
    "an evaluation of rank 0 alone": (
        "if ranks.rank == 0: ag.training.evaluate(cnn(), ag.cross_entropy, *images(5), ranks=ranks)",
        "rank 0 is at `join`, an evaluation, and rank 1 at the end of the program.",
    ),
    "an early end of rank 1": ("if ranks.rank == 1: sys.exit(3)\nranks.broadcast(cnn())",
                               "rank 0 is at `first` or `broadcast`, and rank 1 at the end of the program."),
    "a rank that waits": (
        "import threading\ntraining(augment=lambda x, rng: threading.Event().wait() if ranks.rank == 1 else x)(ranks)",
        "rank 0 has waited 6 s in `sum`, a step of fit, for rank 1: it hangs",
    ),
    "a rank that is stopped": (
        "training(augment=lambda x, rng: os.kill(os.getpid(), 19) if ranks.rank == 1 else x)(ranks)",
        "rank 0 has waited 6 s in `sum`, a step of fit, for rank 1: it hangs",
    ),
    "a callback that waits": ("import threading\ntraining(callbacks=[lambda history: threading.Event().wait()])(ranks)",
                              "rank 1 has waited 6 s in `first` or `broadcast`, for rank 0: it hangs"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("body", "message"), HANGING.values(), ids=HANGING)
def test_what_would_hang_ends_with_an_error_that_names_the_rank(mpirun, monkeypatch, body, message):
    monkeypatch.setenv("AUTOGRAD_CNN_RANKS_TIMEOUT", "6")
    done = mpirun(2, body)
    assert done.returncode != 0 and message in done.stderr


@pytest.mark.slow
def test_a_long_report_of_rank_0_outlasts_the_timeout(mpirun, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_CNN_RANKS_TIMEOUT", "1")
    body = "import threading\nif ranks.rank == 0: threading.Event().wait(3)\nprint('done')"
    done = mpirun(2, body)
    assert done.returncode == 0 and done.stdout.split() == ["done", "done"], done.stderr


@pytest.mark.slow
def test_ctrl_c_on_one_rank_ends_all_after_the_same_step(mpirun):
    body = """
import signal
def augment(x, rng):
    if ranks.rank == 1 and Path("c").exists() and not sent:
        sent.append(os.kill(os.getpid(), signal.SIGINT))
    return x
sent = []
history, weights = training(epochs=1000, checkpoint="c", augment=augment)(ranks)
print(history.ended == f"interrupted at step {len(history.losses)}" and len(history.losses))
"""
    done = mpirun(2, body)
    assert done.returncode == 0, done.stderr
    one, other = done.stdout.split()
    assert one == other and one.isdecimal()


@pytest.mark.slow
def test_the_example_trains_on_mpi(mpirun, tmp_path):
    script = Path(__file__).parents[2] / "examples" / "train_cifar10.py"
    options = ["--images", 300, "--epochs", 2, "--out", "run"]
    assert mpirun(2, "", *options, "--minutes", 1e-9, script=script).returncode == 0
    done = mpirun(2, "", "--resume", "run", script=script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run/report.html") == 1 and done.stderr.count("epoch 2/2") == 1
    assert (tmp_path / "run" / "report.html").exists()
    done = mpirun(2, "", *options, "--seed", 1, script=script)
    assert done.returncode == 2 and done.stderr.count("has another run: seed is 1, was 0") == 1
