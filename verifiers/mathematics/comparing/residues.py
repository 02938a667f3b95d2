"""Tells whole numbers of any size apart, or that they are the same, by what they leave modulo primes.

2^(2^100) and 4^(2^99) are too large for digits, and too alike for bounds. Modulo a prime p, a power depends on its
exponent modulo p - 1 only, and so on up a tower (Euler's theorem). The primes follow from the two formulas, so that
nobody can choose numbers that differ by a multiple of them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b

from verifiers.mathematics.comparing.bounds import span
from verifiers.mathematics.reading.tree import Node, is_whole, rational

_PRIMES = 12
_MOST_FACTORS = 20_000


class _Untold(ArithmeticError):
    """Nothing follows from the residue, or it has no bound in time."""


def same_whole(first: Node, second: Node) -> bool | None:
    """Compares two whole numbers; None where one is none for certain, or its residues say nothing."""
    if not (is_whole(first) and is_whole(second)):
        return None
    telling = 0
    try:
        for prime in _primes(repr(sorted((repr(first), repr(second))))):
            left, right = _residue(first, prime), _residue(second, prime)
            if left != right:
                return False
            # 0 and 1 are what powers by a multiple of p - 1 leave, whatever they are
            telling += left not in {0, 1}
    except (ArithmeticError, ValueError):
        return None
    return True if telling > _PRIMES // 2 else None


def _primes(text: str) -> list[int]:
    """Primes of 31 bits that follow from a text."""
    import sympy

    found: list[int] = []
    for place in range(_PRIMES):
        digest = blake2b(f"{place} {text}".encode("utf-8", "replace"), digest_size=4).digest()
        found.append(int(sympy.nextprime(2**30 + int.from_bytes(digest, "big") % 2**30)))
    return found


@lru_cache(4096)
def _totient(modulus: int) -> int:
    import sympy

    return int(sympy.totient(modulus))


def _residue(node: Node, modulus: int) -> int:
    kind = node[0]
    if kind == "num":
        return int(node[1]) % modulus
    if kind == "pow":
        return _power(node[1], node[2], modulus)
    if kind in {"fact", "binom"}:
        return _counted(node, modulus)
    values = [_residue(child, modulus) for child in node[1:]]
    if kind == "neg":
        return -values[0] % modulus
    return (sum(values) if kind == "add" else math.prod(values)) % modulus


def _power(base: Node, exponent: Node, modulus: int) -> int:
    exact = rational(exponent)
    if exact is not None:
        if exact < 0:
            raise _Untold
        return pow(_residue(base, modulus), exact.numerator, modulus)
    # Euler's theorem for any base holds for exponents that are no less than the binary digits of the modulus.
    if span(exponent, {})[0] < (0, 64.0):
        raise _Untold
    period = _totient(modulus)
    return pow(_residue(base, modulus), _residue(exponent, period) + period, modulus)


def _counted(node: Node, modulus: int) -> int:
    """A factorial or binomial of few factors, since one of many is 0 modulo every prime."""
    values = [rational(child) for child in node[1:]]
    if any(value is None or value < 0 for value in values):
        raise _Untold
    whole = [int(value) for value in values if value is not None]
    few = whole[0] if node[0] == "fact" else min(whole[1], whole[0] - whole[1])
    if not 0 <= few <= _MOST_FACTORS:
        raise _Untold
    if node[0] == "fact":
        return _product(1, few, modulus)
    above = _product(whole[0] - few + 1, whole[0], modulus)
    return above * pow(_product(1, few, modulus), -1, modulus) % modulus


def _product(first: int, last: int, modulus: int) -> int:
    value = 1 % modulus
    for factor in range(first, last + 1):
        value = value * factor % modulus
    return value
