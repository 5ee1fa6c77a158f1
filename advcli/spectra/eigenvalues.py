"""Eigenvalues of a layer, of the same layer with its weights shuffled, and of a matrix of pure noise."""

import math

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch
from numpy.typing import NDArray

from advcli.core.randomness import key

_SMALL = 16  # rows or columns, below which the whole decomposition is quicker
_FLAT = 3  # times as many columns as rows, from which the Gram matrix costs more than it saves
_CACHED = 2**16  # entries that are shuffled together
_STEADY = 1e-8  # of the largest eigenvalue
_HALF = 0.5  # WeightWatcher scales convolutions by the square root of one half


def eigenvalues_of(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared singular values of a weight, those of each place of a kernel pooled, as WeightWatcher counts them.

    Args:
        weight: (out, in) or (out, in, kh, kw).

    Returns:
        float64 (min(out, in) * kh * kw,), ascending. A convolution's are halved, as WeightWatcher does.
    """
    return _pooled(_slices(weight.astype(np.float64)), weight.ndim)


def shuffled_eigenvalues(weight: NDArray[np.floating], seed: int, fingerprint: str, name: str) -> NDArray[np.float64]:
    """Eigenvalues of a layer whose weights are shuffled: same values, no structure.

    Args:
        weight: (out, in) or (out, in, kh, kw); the places of a kernel are shuffled apart.
        seed: of the run.
        fingerprint: of the checkpoint, so that each has its own shuffle.
        name: of the layer.

    Returns:
        As ``eigenvalues_of``, but in the weight's own precision: a null is no place for the ninth digit.
    """
    random = np.random.Generator(np.random.Philox(key=int(key(seed, fingerprint, "esd", name)[0])))
    matrices = _slices(weight)
    shuffled = [_shuffled(matrix, random) for matrix in matrices]
    return _pooled(shuffled, weight.ndim)


def steady_eigenvalues(matrix: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Squared singular values of a matrix, in two thirds of the time of a decomposition.

    Args:
        matrix: (rows, columns).

    Returns:
        float64, ascending, the same as by a decomposition to some nine digits; none where the smallest would keep fewer
        than six, because the eigenvalues of a Gram matrix are exact to the last digit of the largest.
    """
    values: NDArray[np.float64] = _squared_singular_values(matrix.astype(np.float64)).astype(np.float64)
    return values if len(values) and values[0] > _STEADY * values[-1] else None


def matrix_norm(weight: NDArray[np.floating]) -> float:
    """Largest singular value of a weight as a matrix (out, in * kh * kw): what spectral normalization holds at 1.

    Args:
        weight: (out, ...).
    """
    matrix = np.asarray(weight).reshape(len(weight), -1)
    largest = float(np.abs(matrix).max()) if matrix.size else 0.0
    if largest == 0 or min(matrix.shape) < _SMALL:
        return float(np.linalg.norm(matrix.astype(np.float64), 2)) if largest else 0.0
    wide = torch.from_numpy(np.ascontiguousarray(matrix / largest, dtype=np.float32))
    wide = wide if wide.shape[0] <= wide.shape[1] else wide.T
    gram = wide @ wide.T if wide.shape[1] < _FLAT * wide.shape[0] else None

    def times(vector: NDArray[np.float64]) -> NDArray[np.float32]:
        column = torch.from_numpy(np.asarray(vector, dtype=np.float32).ravel())
        product: NDArray[np.float32] = (gram @ column if gram is not None else wide @ (column @ wide)).numpy()
        return product

    operator = scipy.sparse.linalg.LinearOperator((wide.shape[0],) * 2, matvec=times, dtype=np.float32)
    start = np.ones(wide.shape[0], dtype=np.float32)  # fixed, so that the digits are
    start[::2] = -0.5
    found = scipy.sparse.linalg.eigsh(operator, 1, v0=start, tol=1e-5, return_eigenvectors=False)
    return largest * math.sqrt(max(float(found[0]), 0.0))


def marchenko_pastur(points: NDArray[np.floating], variance: float, rows: int, columns: int) -> NDArray[np.float64]:
    """Density of the eigenvalues of ``W.T @ W`` for a large matrix of independent entries.

    Args:
        points: where to evaluate it.
        variance: of an entry.
        rows: of the matrix, at least as many as columns.
        columns: of the matrix.

    Returns:
        The density at each point, of integral 1; 0 outside ``marchenko_pastur_edges``.

    Source: Marchenko and Pastur 1967, https://doi.org/10.1070/SM1967v001n04ABEH001994.
    """
    low, high = marchenko_pastur_edges(variance, rows, columns)
    inside = np.clip((high - points) * (points - low), 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.sqrt(inside) / (2 * np.pi * variance * columns * points)
    return np.where((points > 0) & (inside > 0), density, 0.0)


def marchenko_pastur_edges(variance: float, rows: int, columns: int) -> tuple[float, float]:
    """Smallest and largest eigenvalue that pure noise has in the limit; see ``marchenko_pastur``."""
    sides = math.sqrt(rows), math.sqrt(columns)
    return variance * (sides[0] - sides[1]) ** 2, variance * (sides[0] + sides[1]) ** 2


def _shuffled(matrix: NDArray[np.floating], random: np.random.Generator) -> NDArray[np.floating]:
    """Shuffle the entries of a matrix.

    Those of a large one are dealt out over parts that fit into a processor's cache, each of which has entries of every
    row and column, and is shuffled by itself: four times as fast, and as far from any structure.
    """
    flat = matrix.ravel().copy()
    parts = -(-flat.size // _CACHED) | 1  # odd: in step with no row of an even length
    for part in range(parts):
        flat[part::parts] = random.permutation(flat[part::parts])
    return flat.reshape(matrix.shape)


def _pooled(matrices: list[NDArray[np.floating]], dimensions: int) -> NDArray[np.float64]:
    scale = _HALF if dimensions > 2 else 1.0
    return np.sort(np.concatenate([_squared_singular_values(one) for one in matrices]).astype(np.float64)) * scale


def _slices(weight: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Split a weight into matrices, one for each place of the kernel."""
    parts = weight.reshape(*weight.shape[:2], -1)
    return [parts[:, :, place] for place in range(parts.shape[2])]


def _squared_singular_values(matrix: NDArray[np.floating]) -> NDArray[np.floating]:
    """By the smaller Gram matrix, in the matrix's own precision: a third of the cost of a decomposition."""
    wide = torch.from_numpy(np.ascontiguousarray(matrix))
    wide = wide if wide.shape[0] <= wide.shape[1] else wide.T
    gram = (wide @ wide.T).numpy()
    values: NDArray[np.floating] = scipy.linalg.eigvalsh(gram, overwrite_a=True, check_finite=False)
    return values.clip(min=0)
