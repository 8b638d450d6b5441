import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mocha.caffe as caffe
from mocha.caffe.logs import read_log
from mocha.console import logger
from mocha.errors import FormatError

LOG = """
I1105 00:37:55.565091 2106102528 solver.cpp:247] Iteration 0, Testing net (#0)
I1105 00:38:01.939831 2106102528 solver.cpp:298]     Test net output #0: accuracy = 0.125
I1105 00:38:01.939831 2106102528 solver.cpp:298]     Test net output #1: loss = 2.5 (* 1 = 2.5 loss)
I1105 00:38:01.939831 2106102528 solver.cpp:247] Iteration 0, Testing net (#1)
I1105 00:38:01.939831 2106102528 solver.cpp:298]     Test net output #0: accuracy = 0.25
I1105 00:38:01.939831 2106102528 solver.cpp:191] Iteration 0, loss = 2.30245
I1105 00:38:01.940034 2106102528 solver.cpp:206]     Train net output #0: each = 1
I1105 00:38:01.940034 2106102528 solver.cpp:206]     Train net output #1: each = -2e-05
I1105 00:38:01.940191 2106102528 sgd_solver.cpp:106] Iteration 0, lr = 0.001
I1105 00:38:22.408422 2106102528 solver.cpp:218] Iteration 100 (5.1 iter/s, 19.6s/100 iters), loss = nan
12:00:00  Test loss: 1.5
something else = 3
I1105 00:38:22.408470 2106102528 solver.cpp:403] Iteration 100, lr = 0.00"""


@pytest.fixture
def log(tmp_path):
    def write(text):
        path = tmp_path / "train.log"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_what_a_log_says(log):
    found = read_log(log(LOG))
    assert math.isnan(found["obj_val"].pop(100))
    assert found == {
        "test-accuracy": {0: 0.125},
        "test-loss": {0: 2.5},
        "test1-accuracy": {0: 0.25},
        "obj_val": {0: 2.30245},
        "train-each": {0: 1.0},
        "train-each#2": {0: -2e-05},
        "learning_rate": {0: 0.001},  # the last line is not complete
        "test1-obj_val": {100: 1.5},
    }


def test_the_log_of_a_real_training(shared):
    found = read_log(shared / "models" / "cifar10_quick" / "train_log.txt")
    assert found["test-accuracy"][5000] == 0.7491
    assert len(found["obj_val"]) == 51
    assert found["learning_rate"][4900] == 0.0001
    assert set(found) == {"obj_val", "learning_rate", "test-accuracy", "test-loss", "train-loss"}


def test_the_log_of_our_own_training(log, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logger(), "propagate", True)
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param {
                shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { type: "gaussian" } } }
        layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 2 } }
        layer { name: "l" type: "EuclideanLoss" bottom: "f" bottom: "y" top: "l" }
    """)
    (tmp_path / "s.prototxt").write_text(f"""
        net: "{tmp_path}/net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 4 display: 2
        test_iter: 1 test_interval: 2 snapshot_after_train: false snapshot_prefix: "{tmp_path}/s"
    """)
    with caplog.at_level("INFO", logger="mocha"):
        solver = caffe.Solver(str(tmp_path / "s.prototxt"))
        solver.solve()
        solver.close()
    found = read_log(log("\n".join(caplog.messages) + "\n"))
    assert set(found) == {"obj_val", "learning_rate", "train-l", "test-l"}
    assert set(found["obj_val"]) == {0, 2, 4}
    assert found["learning_rate"] == {0: 0.01, 2: 0.01}
    assert set(found["test-l"]) == {0, 2, 4}


@pytest.mark.parametrize("text", ["", "hello\n", b"\x89HDF\r\n\x1a\n\x00\xff" * 100, "Iteration 5, loss = \n"])
def test_no_log(log, text):
    with pytest.raises(FormatError, match="found no line such as"):
        read_log(log(text))


def test_no_file(tmp_path):
    with pytest.raises(FormatError, match="there is no such file"):
        read_log(tmp_path / "nothing.log")


def test_endless_lines_and_numbers(log):
    long = b"x" * 100_000 + b"Iteration 7, loss = 1\n"
    many = "".join(f"Test net output #0: a{i} = 1\n" for i in range(1500)).encode()
    found = read_log(log(long + b"Iteration 1, loss = 2.5\n" + many + b"Iteration 9999999999999999999, loss = 1\n"))
    assert found["obj_val"] == {1: 2.5}
    assert len(found) == 1000


WORDS = [
    "Iteration ", "1", ", ", "loss = ", "lr = ", "Test net output #", "0: ", "a = ", "\n", "nan", "1.2.3", "(", ")",
    "Testing net (#", "e5", "\x00", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_any_text(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("log") / "l"
    path.write_text("".join(words))
    try:
        found = read_log(path)
    except FormatError:
        return
    assert all(isinstance(v, float) for numbers in found.values() for v in numbers.values())
