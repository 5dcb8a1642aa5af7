"""What all indicators agree on about arrays: their types, their undefined ends, sums that remember nothing."""

import math
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Times = NDArray[np.int64]

_P = ParamSpec("_P")
_Values = TypeVar("_Values")


def defined_part(arrays: int) -> Callable[[Callable[_P, _Values]], Callable[_P, _Values]]:
    """A decorator: the function sees only the finite part of its first ``arrays`` arguments, all of one length.

    What it gives, an array or a named tuple of arrays, is padded to the full length with NaN (flags: with False). The
    common case, everything finite, costs a dot product per array and no copy.
    """

    def decorate(compute: Callable[_P, _Values]) -> Callable[_P, _Values]:
        @wraps(compute)
        def computed(*args: _P.args, **kwargs: _P.kwargs) -> _Values:
            given = cast("tuple[Floats, ...]", args[:arrays])
            length = len(given[0])
            begin, end = finite_span(*given)
            if end - begin == length:
                return compute(*args, **kwargs)
            part = tuple(array[begin:end] for array in given) + args[arrays:]
            values = compute(*part, **kwargs)  # type: ignore[arg-type]  # the same arguments, some of them shorter
            return _padded(values, begin, length - end)

        return computed

    return decorate


def finite_span(*arrays: Floats) -> tuple[int, int]:
    """From the first row of arrays of one length that is finite throughout to the next that is not.

    Raises ``ValueError`` for arrays of unequal length.
    """
    length = len(arrays[0])
    all_finite = True
    for array in arrays:
        if len(array) != length:
            raise ValueError(f"arrays of one length are needed, not of {[len(each) for each in arrays]}")
        # A sum of squares is finite only if every term is; should it overflow, the slow way decides.
        all_finite = all_finite and math.isfinite(array.dot(array))
    if all_finite:
        return 0, length
    finite = np.isfinite(arrays[0])
    for array in arrays[1:]:
        finite &= np.isfinite(array)
    if not finite.any():
        return len(finite), len(finite)
    begin = int(finite.argmax())
    rest = finite[begin:]
    return begin, len(finite) if rest.all() else begin + int(rest.argmin())


def require_periods(least: int, *periods: int) -> None:
    """Raises ``ValueError`` if a period is below ``least``."""
    if min(periods) < least:
        raise ValueError(f"a period must be at least {least}, not {min(periods)}")


def undefined(length: int) -> Floats:
    """An array of NaN."""
    return np.full(length, np.nan)


def rolling_sum(values: Floats, period: int) -> Floats:
    """The sum of each value and the ``period`` - 1 before it; first at index ``period`` - 1.

    Made of sums of 1, 2, 4, ... neighbours, so that each sum adds exactly its own values in one fixed order: unlike a
    running sum it keeps no rounding error of values that have left, and a stretch of zeros sums to zero.
    """
    sums = undefined(len(values))
    count = len(values) - period + 1
    if count < 1:
        return sums
    total: Floats | None = None
    taken, size, block = 0, 1, values
    while True:
        if period & size:
            part = block[taken : taken + count]
            total = part if total is None else total + part
            taken += size
        if 2 * size > period:
            break
        block = block[:-size] + block[size:]
        size *= 2
    sums[period - 1 :] = total
    return sums


def _padded(values: _Values, before: int, after: int) -> _Values:
    if isinstance(values, np.ndarray):
        padded = np.full(before + len(values) + after, False if values.dtype == np.bool_ else np.nan)
        padded[before : before + len(values)] = values
        return cast("_Values", padded)
    fields = cast("tuple[Floats, ...]", values)
    return cast("_Values", type(fields)(*(_padded(field, before, after) for field in fields)))
