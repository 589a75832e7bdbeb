"""JMTEB's scoring once more, naively and from its description alone: loops, scikit-learn and scipy."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats
from scipy.spatial import distance
from sklearn import cluster
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    completeness_score,
    f1_score,
    homogeneity_score,
    pairwise,
    v_measure_score,
)
from sklearn.neighbors import KNeighborsClassifier


def first_best(dev):
    """The name with the highest value; the first of equal ones."""
    return sorted(dev, key=lambda name: -dev[name])[0]


def sts(dev, test, upstream):
    """(chosen, pearson, spearman) of (left, right, gold) on dev and test, in float64."""

    def similarities(a, b):
        rows = [(x.astype(float), y.astype(float)) for x, y in zip(a, b, strict=True)]
        manhattan = [-distance.cityblock(x, y) for x, y in rows]
        return {
            "cosine": [1 - distance.cosine(x, y) for x, y in rows],
            "manhattan": manhattan,
            "euclidean": manhattan if upstream else [-distance.euclidean(x, y) for x, y in rows],
            "dot": [float(x @ y) for x, y in rows],
        }

    on_dev = {
        name: stats.spearmanr(dev[2], values).statistic for name, values in similarities(*dev[:2]).items()
    }
    chosen = first_best(on_dev)
    values = similarities(*test[:2])[chosen]
    return chosen, stats.pearsonr(test[2], values).statistic, stats.spearmanr(test[2], values).statistic


def pairs(dev, test, upstream):
    """(chosen, F1, accuracy) on test of thresholds found on dev by trying every cut."""

    def scores(a, b):
        return {
            "cosine": 1 - pairwise.paired_cosine_distances(a, b),
            "manhattan": pairwise.paired_manhattan_distances(a, b),
            "euclidean": pairwise.paired_euclidean_distances(a, b),
            "dot": np.array([x @ y for x, y in zip(a, b, strict=True)], dtype=np.float32),
        }

    grows = {"cosine": not upstream, "manhattan": False, "euclidean": False, "dot": True}

    def cut(values, labels, up, measure):
        order = sorted(range(len(values)), key=lambda i: -values[i] if up else values[i])
        best, threshold = 0.0, np.float32(-1)
        for last in range(len(order) - 1):
            claimed = [int(i in order[: last + 1]) for i in range(len(order))]
            if (value := measure(labels, claimed)) > best + 1e-12:
                best = value
                threshold = (values[order[last]] + values[order[last + 1]]) / np.float32(2)
        return best, threshold

    on_dev = scores(*dev[:2])
    f1 = {name: cut(on_dev[name], dev[2], grows[name], f1_score) for name in on_dev}
    chosen = first_best({name: best for name, (best, _) in f1.items()})
    accurate = cut(on_dev[chosen], dev[2], grows[chosen], accuracy_score)[1]
    values = scores(*test[:2])[chosen]

    def predicted(threshold):
        return [int(v >= threshold) if grows[chosen] else int(v < threshold) for v in values]

    return chosen, f1_score(test[2], predicted(f1[chosen][1])), accuracy_score(test[2], predicted(accurate))


def classification(train, dev, test):
    """(chosen, macro F1, accuracy) of (rows, labels)."""
    models = {
        "knn_cosine_k_2": KNeighborsClassifier(2, metric="cosine").fit(*train),
        "logreg": LogisticRegression().fit(*train),
    }
    chosen = first_best(
        {name: f1_score(dev[1], model.predict(dev[0]), average="macro") for name, model in models.items()}
    )
    predicted = models[chosen].predict(test[0])
    return chosen, f1_score(test[1], predicted, average="macro"), accuracy_score(test[1], predicted)


def clustering(dev, test, seed):
    """(chosen, v, homogeneity, completeness) of (rows, labels)."""
    n = len(set(test[1]))
    makers = {
        "MiniBatchKMeans": lambda: cluster.MiniBatchKMeans(n, n_init="auto", random_state=seed),
        "AgglomerativeClustering": lambda: cluster.AgglomerativeClustering(n),
        "BisectingKMeans": lambda: cluster.BisectingKMeans(n, random_state=seed),
        "Birch": lambda: cluster.Birch(n_clusters=n),
    }
    chosen = first_best(
        {name: v_measure_score(dev[1], make().fit_predict(dev[0])) for name, make in makers.items()}
    )
    found = makers[chosen]().fit_predict(test[0])
    return (
        chosen,
        v_measure_score(test[1], found),
        homogeneity_score(test[1], found),
        completeness_score(test[1], found),
    )


def likeness(query, document, name):
    x, y = query.astype(float), document.astype(float)
    if name == "cosine":
        return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
    return float(x @ y) if name == "dot" else 100 / (math.dist(x, y) + 1e-4)


def retrieval(queries, documents, relevant, name, upstream):
    """Metrics of queries [q, d] over documents [n, d]; `relevant` holds positions, query by query."""
    depth = min(10, len(queries)) if upstream else 10
    total = dict.fromkeys(
        ("ndcg_at_10", "mrr_at_10", "accuracy_at_1", "accuracy_at_3", "accuracy_at_5", "accuracy_at_10"), 0.0
    )
    for query, own in zip(queries, relevant, strict=True):
        order = sorted(range(len(documents)), key=lambda d: -likeness(query, documents[d], name))[:depth]
        ranks = [rank for rank, doc in enumerate(order, 1) if doc in own]
        if not own:
            continue
        ideal = sum(
            1 / math.log2(rank + 1) for rank in range(1, (len(own) if upstream else min(10, len(own))) + 1)
        )
        total["ndcg_at_10"] += sum(1 / math.log2(rank + 1) for rank in ranks) / ideal
        total["mrr_at_10"] += 1 / ranks[0] if ranks else 0
        for k in (1, 3, 5, 10):
            total[f"accuracy_at_{k}"] += any(rank <= k for rank in ranks)
    return {metric: value / len(queries) for metric, value in total.items()}


def reranking(queries, documents, lists, name):
    """nDCG at 10, 20, 40; `lists` holds (position, grade) pairs, query by query."""
    total = dict.fromkeys((10, 20, 40), 0.0)
    for query, own in zip(queries, lists, strict=True):
        ranked = sorted(own, key=lambda pair: -likeness(query, documents[pair[0]], name))
        for k in total:
            gained = sum(g / math.log2(r + 1) for r, (_, g) in enumerate(ranked[:k], 1))
            ideal = sum(
                g / math.log2(r + 1) for r, g in enumerate(sorted((g for _, g in own), reverse=True)[:k], 1)
            )
            total[k] += gained / ideal / len(queries)
    return {f"ndcg_at_{k}": value for k, value in total.items()}
