"""Methods that change weights, as their papers write them: one column after another, in float64, of rows [out, in]."""

import numpy as np


def sparsegpt(rows, gram, tokens, sparsity=0.5, pattern=None, damping=0.01):
    """(new rows, keep) of SparseGPT; `gram` is Σ x xᵀ over tokens.

    As the official code, but for the number of weights to drop, which is exact.
    """
    rows, hessian = rows.astype(np.float64), 2 / tokens * gram.astype(np.float64)
    dead = np.diag(hessian) == 0
    hessian[dead, dead] = 1
    rows[:, dead] = 0
    hessian += damping * np.diag(hessian).mean() * np.eye(len(hessian))
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    keep = np.ones(rows.shape, bool)
    for column in range(rows.shape[1]):
        if pattern is None and column % 128 == 0:
            scores = (rows / np.diag(upper))[:, column : column + 128] ** 2
            # of two equal scores the one of the first input goes first
            order = np.argsort(scores.T, axis=None, kind="stable")[: int(scores.size * sparsity)]
            part = np.ones(scores.T.size, bool)
            part[order] = False
            keep[:, column : column + 128] = part.reshape(scores.T.shape).T
        if pattern is not None and column % pattern[1] == 0:
            n, m = pattern
            scores = (rows / np.diag(upper))[:, column : column + m] ** 2
            order = np.argsort(scores, axis=1, kind="stable")[:, : m - n]
            np.put_along_axis(keep[:, column : column + m], order, False, axis=1)
        kept = np.where(keep[:, column], rows[:, column], 0)
        error = (rows[:, column] - kept) / upper[column, column]
        rows[:, column] = kept
        rows[:, column + 1 :] -= np.outer(error, upper[column, column + 1 :])
    return rows, keep


def dsnot(rows, keep, sums, squares, tokens, group=None, cycles=50, threshold=0.1 / 2048):
    """The mask [out, in] of DSnoT, from the mask of another method: one output after another."""
    mean = sums / tokens
    variance = squares / tokens - mean**2
    keep = keep.copy()
    for weights, kept in zip(rows.astype(np.float64), keep, strict=True):
        part, size = weights * mean, np.abs(weights) * np.sqrt(squares)
        error = part[~kept].sum()
        for _ in range(cycles):
            sign = np.sign(error)
            dropped = [i for i in np.flatnonzero(~kept) if part[i] * sign > 0]
            if abs(error) <= threshold or not dropped:
                break
            back = max(dropped, key=lambda i: part[i] * sign / variance[i])
            leaves = [
                i
                for i in np.flatnonzero(kept)
                if part[i] * sign < 0 and (group is None or i // group == back // group)
            ]
            if not leaves:
                break
            out = min(leaves, key=lambda i: size[i])
            after = error - part[back] + part[out]
            if abs(after) >= abs(error):
                break
            kept[back], kept[out], error = True, False, after
    return keep


def nearest_levels(levels, multiples):
    """The level nearest to each multiple."""
    return levels[np.abs(multiples[..., None] - levels).argmin(axis=-1)]


def searched_scales(rows, importance, levels, extremes):
    """The scale of each row that minimises Σ h (w − d q)², among least-squares refits of some first ones."""
    best, scales = np.full(len(rows), np.inf), np.zeros(len(rows))
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)[:, 0]
    for extreme in extremes:
        q = nearest_levels(levels, rows * (extreme / largest)[:, None])
        scale = (importance * rows * q).sum(axis=1) / (importance * q * q).sum(axis=1)
        error = (importance * (rows - scale[:, None] * q) ** 2).sum(axis=1)
        better = error < best
        best, scales = np.where(better, error, best), np.where(better, scale, scales)
    return scales.astype(np.float16).astype(np.float64)


def gptq(rows, gram, tokens, levels, extremes, damping=0.01, keep=None):
    """Rows of weights on a grid, by GPTQ; `gram` is Σ x xᵀ over tokens. Weights that `keep` drops are 0."""
    keep = np.ones(rows.shape, bool) if keep is None else keep
    rows, hessian = rows.astype(np.float64), 2 / tokens * gram.astype(np.float64)
    importance = np.diag(hessian).copy()
    hessian += damping * importance.mean() * np.eye(len(hessian))
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    for column in range(rows.shape[1]):
        if column % 32 == 0:
            block = slice(column, column + 32)
            kept = np.where(keep[:, block], rows[:, block], 0)
            scales = searched_scales(kept, importance[block], levels, extremes)
        q = nearest_levels(levels, rows[:, column] / scales) * keep[:, column]
        error = (rows[:, column] - scales * q) / upper[column, column]
        rows[:, column] = scales * q
        rows[:, column + 1 :] -= np.outer(error, upper[column, column + 1 :])
    return rows


def swaps(rows, start, keep, gram, group=None):
    """(new rows, keep) [out, in] of exact swaps from another method's result: every error is computed as a whole."""
    rows, new, gram = rows.astype(np.float64), start.astype(np.float64), gram.astype(np.float64)
    new, keep = np.where(keep, new, 0), keep.copy()
    for weights, made, kept in zip(rows, new, keep, strict=True):

        def error_of(values, weights=weights):
            return (weights - values) @ gram @ (weights - values)

        first = current = error_of(made)
        for _ in range(200):
            dropped = np.flatnonzero(~kept)
            if group is None:
                alone = [
                    error_of(np.where(np.arange(len(made)) == j, weights, made)) for j in dropped
                ]
                dropped = dropped[[np.argmin(alone)]]
            best = (np.inf, None, None)
            for j in dropped:
                for i in np.flatnonzero(kept):
                    if group is None or i // group == j // group:
                        other = made.copy()
                        other[j], other[i] = weights[j], 0
                        best = min(best, (error_of(other), i, j))
            if best[0] - current >= -1e-6 * first:
                break
            current, i, j = best
            made[j], made[i], kept[j], kept[i] = weights[j], 0, True, False
    return new, keep
