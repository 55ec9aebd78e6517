"""Knows how two sets of model outputs are compared: top-1, top-k, cosine, SQNR, largest error, Spearman.

Everywhere `reference` and `observed` are float64 [vectors, elements]; the functions return one value per vector unless
they say otherwise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def top1(reference: Floats, observed: Floats) -> Floats:
    """1 where both have the same winner, else 0; of equal scores the lowest index wins, as in the decide stage."""
    same: Floats = (reference.argmax(axis=1) == observed.argmax(axis=1)).astype(np.float64)
    return same


def topk(reference: Floats, observed: Floats, k: int) -> Floats:
    """1 where the reference's winner is among the k highest observed scores, else 0; equal scores rank by index."""
    winner = reference.argmax(axis=1)[:, None]
    score = np.take_along_axis(observed, winner, axis=1)
    earlier = np.arange(observed.shape[1])[None, :] < winner
    ahead = (observed > score) | ((observed == score) & earlier)
    among: Floats = (ahead.sum(axis=1) < k).astype(np.float64)
    return among


def cosine(reference: Floats, observed: Floats) -> Floats:
    """f.d / (|f| |d|); 1 where both are zero vectors, 0 where only one is."""
    product = np.einsum("ij,ij->i", reference, observed)
    return _correlation(product, np.linalg.norm(reference, axis=1), np.linalg.norm(observed, axis=1))


def energies(reference: Floats, observed: Floats) -> Floats:
    """[vectors, 2]: signal energy sum(f**2) and noise energy sum((f - d)**2)."""
    noise = reference - observed
    return np.stack([np.einsum("ij,ij->i", reference, reference), np.einsum("ij,ij->i", noise, noise)], axis=1)


def sqnr_db(energy: Floats) -> float:
    """Signal to quantisation noise ratio in dB over rows of `energies`; inf without noise, -inf with noise alone."""
    signal, noise = (float(part) for part in energy.sum(axis=0))
    if noise == 0:
        return math.inf
    return -math.inf if signal == 0 else 10 * math.log10(signal / noise)


def max_abs_error(reference: Floats, observed: Floats) -> Floats:
    """Largest |f - d|, in the unit of the output."""
    largest: Floats = np.abs(reference - observed).max(axis=1)
    return largest


def spearman(reference: Floats, observed: Floats) -> Floats:
    """Pearson correlation of the average ranks; 1 where both rows are constant, 0 where only one is."""
    first, second = _centred(average_ranks(reference)), _centred(average_ranks(observed))
    product = np.einsum("ij,ij->i", first, second)
    return _correlation(product, np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))


def average_ranks(values: Floats) -> Floats:
    """Ranks 1..elements within each row; equal values share the mean of their ranks. NaN ranks as NaN."""
    rows, size = values.shape
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    starts = np.ones((rows, size), np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.flatnonzero(starts)  # flat positions at which a run of equal values starts; every row starts one
    length = np.diff(first, append=rows * size)
    mean_rank = np.repeat(first % size + (length + 1) / 2, length).reshape(rows, size)
    ranks = np.empty((rows, size), np.float64)
    np.put_along_axis(ranks, order, mean_rank, axis=1)
    ranks[np.isnan(values)] = np.nan
    return ranks


def _centred(values: Floats) -> Floats:
    centred: Floats = values - values.mean(axis=1, keepdims=True)
    return centred


def _correlation(product: Floats, first: Floats, second: Floats) -> Floats:
    """product / (first * second), clipped to [-1, 1]; where a norm is zero the pair is alike (1) or not (0)."""
    scale = first * second
    degenerate = (first == 0) | (second == 0)
    alike = ((first == 0) & (second == 0)).astype(np.float64)
    return np.where(degenerate, alike, np.clip(product / np.where(degenerate, 1.0, scale), -1.0, 1.0))
