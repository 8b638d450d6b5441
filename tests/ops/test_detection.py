import math

import numpy as np
import pytest

from mocha.errors import ConfigError, ShapeError
from mocha.ops import BoxCode, DetectionOutput, PriorBox, Spec
from mocha.ops.detection import best_boxes, decode_boxes, overlaps
from mocha.testing.cases.detection import CASES

F32 = np.dtype(np.float32)
FOUND = [case for case in CASES if isinstance(case.op, DetectionOutput)]
PRIORS = [case for case in CASES if isinstance(case.op, PriorBox)]


# -- prior boxes


@pytest.mark.parametrize("case", PRIORS, ids=str)
def test_priors_against_loops(case):
    op = case.op
    boxes = []
    step_h, step_w = (step or n / m for step, n, m in zip(op.step, op.image, (op.height, op.width), strict=True))
    for i in range(op.height):
        for j in range(op.width):
            sides = []
            for place, size in enumerate(op.min_sizes):
                sides.append((size, size))
                if op.max_sizes:
                    sides.append((math.sqrt(size * op.max_sizes[place]),) * 2)
                sides += [(size * math.sqrt(a), size / math.sqrt(a)) for a in op.ratios if a != 1]
            for w, h in sides:
                x, y = (j + op.offset) * step_w, (i + op.offset) * step_h
                boxes += [(x - w / 2) / op.image[1], (y - h / 2) / op.image[0]]
                boxes += [(x + w / 2) / op.image[1], (y + h / 2) / op.image[0]]
    if op.clip:
        boxes = [min(max(number, 0), 1) for number in boxes]
    found = op.forward()
    assert Spec.of(found) == op.infer()
    np.testing.assert_allclose(found[0, 0], boxes, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found[0, 1].reshape(-1, 4), np.broadcast_to(op.variances, (len(boxes) // 4, 4)))


def test_priors_by_hand():
    op = PriorBox(1, 2, (100, 200), (20.0,), (80.0,), (4.0,))
    assert op.ratios == (1, 4, 0.25)
    boxes = op.forward()[0, 0].reshape(2, 4, 4)
    np.testing.assert_allclose(
        boxes[0],
        [[0.2, 0.4, 0.3, 0.6], [0.15, 0.3, 0.35, 0.7], [0.15, 0.45, 0.35, 0.55], [0.225, 0.3, 0.275, 0.7]],
        rtol=1e-5,
    )
    np.testing.assert_allclose(boxes[1] - boxes[0], np.tile([0.5, 0, 0.5, 0], (4, 1)), atol=1e-6)


def test_equal_ratios_count_once():
    assert PriorBox(1, 1, (9, 9), (1.0,), (), (2.0, 1.0, 0.5, 3.0)).ratios == (1, 2, 0.5, 3, 1 / 3)
    assert PriorBox(1, 1, (9, 9), (1.0,), (), (2.0, 0.5), flip=False).ratios == (1, 2, 0.5)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"height": 0}, "at least one cell and pixel"),
        ({"image": (0, 5)}, "at least one cell and pixel"),
        ({"min_sizes": ()}, "at least one minimal size"),
        ({"min_sizes": (0.0,)}, "> 0"),
        ({"aspect_ratios": (-1.0,)}, "> 0"),
        ({"variances": (math.nan,)}, "finite"),
        ({"variances": (0.1, 0.1)}, "received 2 variances; expected 1 or 4"),
        ({"max_sizes": (2.0, 3.0)}, "as many"),
        ({"max_sizes": (1.0,)}, "larger than the minimal one"),
        ({"step": (-1.0, 0.0)}, "steps >= 0"),
        ({"offset": math.inf}, "all finite"),
    ],
)
def test_priors_that_cannot_be(attributes, words):
    with pytest.raises(ConfigError, match=words):
        PriorBox(**{"height": 1, "width": 1, "image": (5, 5), "min_sizes": (1.0,), **attributes})


# -- boxes


def test_decoding():
    prior, predicted = np.array([1.0, 2, 3, 6]), np.array([0.5, -0.25, math.log(2), 0])
    np.testing.assert_allclose(decode_boxes(BoxCode.CENTER_SIZE, predicted, prior), [1, 1, 5, 5])
    np.testing.assert_allclose(decode_boxes(BoxCode.CORNER, predicted, prior), [1.5, 1.75, 3 + math.log(2), 6])
    np.testing.assert_allclose(decode_boxes(BoxCode.CORNER_SIZE, predicted, prior), [2, 1, 3 + 2 * math.log(2), 6])


def test_overlaps():
    others = np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [5, 5, 6, 6], [2, 2, 0, 0], [0.5, 0.5, 1, 1]])
    np.testing.assert_allclose(overlaps(np.array([0.0, 0, 2, 2]), others), [1, 1 / 7, 0, 0, 0, 0.25 / 4])
    np.testing.assert_array_equal(overlaps(np.zeros(4), np.zeros((2, 4))), [0, 0])


ROW = np.array([[i, 0.0, i + 2, 1] for i in range(5)])
"""Each overlaps the next by 1/3."""


def test_the_best_of_overlapping_boxes_stay():
    scores = np.array([0.5, 0.9, 0.7, 0.8, 0.1])
    assert best_boxes(ROW, scores, above=0.0, overlap=0.3).tolist() == [1, 3]
    assert best_boxes(ROW, scores, above=0.0, overlap=0.34).tolist() == [1, 3, 2, 0, 4]
    assert best_boxes(ROW, scores, above=0.5, overlap=0.34).tolist() == [1, 3, 2]
    assert best_boxes(ROW, scores, above=0.0, overlap=0.34, top_k=2).tolist() == [1, 3]
    assert best_boxes(ROW, np.array([0.5, math.nan, 0.5, 0.5, 0.5]), above=0.0, overlap=0.3).tolist() == [0, 2, 4]
    assert best_boxes(ROW, scores, above=1.0, overlap=0.3).size == 0


def test_the_limit_falls():
    boxes = np.array([[0, 0, 10, 1], [10, 0, 20, 1], [0, 0, 9, 1.0], [0, 0, 5.2, 1]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert best_boxes(boxes, scores, above=0.0, overlap=0.95).tolist() == [0, 1, 2, 3]
    # 0.95, 0.76, 0.608: the third overlaps the first by 0.9, the fourth by 0.52; below 0.5 the limit stays
    assert best_boxes(boxes, scores, above=0.0, overlap=0.95, eta=0.8).tolist() == [0, 1, 3]


# -- what was found


def test_found_by_hand():
    priors = np.stack([ROW.reshape(-1), np.full(20, 0.5)])[None]
    conf = np.zeros((1, 5, 3))
    conf[0, :, 1] = [0.5, 0.9, 0.7, 0.8, 0.1]
    conf[0, 2, 2] = 0.95
    op = DetectionOutput(3, 3, 0.2, 0.3)
    loc = np.zeros((1, 20))
    loc[0, 4:8] = 0.2
    found = op.detections(loc, conf.reshape(1, 15), priors)
    rows = [[0, 1, 0.9, 1.1, 0.1, 3.1, 1.1], [0, 1, 0.8, 3, 0, 5, 1], [0, 2, 0.95, 2, 0, 4, 1]]
    np.testing.assert_allclose(found, [[rows]])
    np.testing.assert_array_equal(op.forward(loc, conf.reshape(1, 15), priors), found)
    # two rows: the best two, in the order of classes
    two = DetectionOutput(3, 2, 0.2, 0.3).detections(loc, conf.reshape(1, 15), priors)
    np.testing.assert_allclose(two, [[[rows[0], rows[2]]]])


@pytest.mark.parametrize("case", FOUND, ids=str)
def test_found_against_loops(case):
    op, (loc, conf, priors) = case.op, case.arrays()
    boxes, variances = priors.reshape(2, -1, 4)
    if op.variance_encoded:
        variances = np.ones_like(variances)
    rows = []
    for n in range(len(loc)):
        own = []
        for label in [label for label in range(op.classes) if label != op.background]:
            candidates = []
            for p, (prior, variance) in enumerate(zip(boxes, variances, strict=True)):
                each = 1 if op.share_location else op.classes
                at = 4 * (p * each + (0 if op.share_location else label))
                box = decode_boxes(op.code, loc[n, at : at + 4] * variance, prior)
                candidates.append((conf[n, p * op.classes + label], -p, tuple(box)))
            candidates = sorted((c for c in candidates if c[0] > op.confidence_threshold), reverse=True)
            limit, kept = op.nms_threshold, []
            for candidate in candidates[: None if op.top_k < 0 else op.top_k]:
                if all(overlaps(np.array(candidate[2]), np.array([k[2]]))[0] <= limit for k in kept):
                    kept.append(candidate)
                    limit *= op.eta if limit > 0.5 else 1
            own += [(n, label, score, *box) for score, _, box in kept]
        best = sorted(range(len(own)), key=lambda i: (-own[i][2], i))[: op.keep_top_k]
        rows += [own[i] for i in sorted(best)]
    found = op.detections(loc, conf, priors)
    assert found.shape == (1, 1, len(rows), 7)
    np.testing.assert_allclose(found[0, 0], np.array(rows).reshape(-1, 7), rtol=1e-12)
    y = op.forward(loc, conf, priors)
    np.testing.assert_array_equal(y[:, :, : len(rows)], found)
    assert (y[:, :, len(rows) :] == -1).all()
    assert y.shape == (1, 1, len(loc) * op.keep_top_k, 7)


def test_all_that_was_found():
    case = FOUND[0]
    everything = DetectionOutput(4, -1, 0.3, 0.4, code=BoxCode.CENTER_SIZE).detections(*case.arrays())
    assert everything.shape[2] > case.op.detections(*case.arrays()).shape[2]
    with pytest.raises(ShapeError, match="keep_top_k is -1; expected at least 1"):
        DetectionOutput(4).infer(*map(Spec.of, case.arrays()))


@pytest.mark.parametrize(
    ("loc", "conf", "priors", "words"),
    [
        ((2, 12), (2, 9), (1, 2, 10), "the priors are 1x2x10 float32"),
        ((2, 12), (2, 9), (2, 12), "the priors are 2x12 float32"),
        ((2, 16), (2, 9), (1, 2, 12), "loc is 2x16 float32; expected 4 numbers for each image and each of 3 priors"),
        ((2, 12), (2, 8), (1, 2, 12), "conf is 2x8 float32; expected 3 numbers"),
        ((2, 12), (3, 6), (1, 2, 12), "conf is 3x6 float32"),
    ],
)
def test_shapes_that_do_not_fit(loc, conf, priors, words):
    with pytest.raises(ShapeError, match=words):
        DetectionOutput(3, 5).infer(Spec(loc, F32), Spec(conf, F32), Spec(priors, F32))
    with pytest.raises(ShapeError, match=words):
        DetectionOutput(3).detections(*(np.zeros(shape, F32) for shape in (loc, conf, priors)))


@pytest.mark.parametrize("attributes", [{"classes": 0}, {"nms_threshold": -1.0}, {"eta": 0.0}, {"top_k": -2}])
def test_detectors_that_cannot_be(attributes):
    with pytest.raises(ConfigError, match="expected"):
        DetectionOutput(**{"classes": 2, **attributes})
