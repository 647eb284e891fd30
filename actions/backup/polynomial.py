"""The random irreducible polynomial over GF(2) that every config carries, so that restic can chunk for the same repository.

A polynomial is an int whose bits are its coefficients. restic wants degree 53 (a prime) and, stored in hexadecimal, the bits 53 and 0 set.
"""

import secrets

DEGREE = 53


def random_irreducible() -> int:
    """A random irreducible polynomial of degree 53; about one candidate in fourteen is one."""
    while True:
        candidate = secrets.randbits(DEGREE) | 1 << DEGREE | 1
        if is_irreducible(candidate):
            return candidate


def is_irreducible(polynomial: int) -> bool:
    """Rabin's test: f of degree n is irreducible when f divides x^(2^n) - x, and has no factor in common with x^(2^(n/q)) - x.

    `q` runs over the prime divisors of n. Works for every degree of at least 1.
    """
    degree = polynomial.bit_length() - 1
    if polynomial < 0 or degree < 1:
        return False
    if degree == 1:
        return True
    for prime in _prime_divisors(degree):
        if _gcd(polynomial, _x_to_power_of_two(degree // prime, polynomial) ^ 0b10) != 1:
            return False
    return _x_to_power_of_two(degree, polynomial) == 0b10


def _x_to_power_of_two(exponent: int, modulus: int) -> int:
    """x^(2^exponent) modulo `modulus`."""
    value = _mod(0b10, modulus)
    for _ in range(exponent):
        value = _mod(_square(value), modulus)
    return value


def _square(value: int) -> int:
    """Over GF(2) a square spreads the bits out."""
    return int(f"{value:b}", 4) if value else 0


def _mod(value: int, modulus: int) -> int:
    size = modulus.bit_length()
    while (excess := value.bit_length() - size) >= 0:
        value ^= modulus << excess
    return value


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, _mod(a, b)
    return a


def _prime_divisors(number: int) -> list[int]:
    found = []
    divisor = 2
    while number > 1:
        if number % divisor == 0:
            found.append(divisor)
            while number % divisor == 0:
                number //= divisor
        divisor += 1
    return found
