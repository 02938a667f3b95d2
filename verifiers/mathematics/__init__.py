"""Mathematical answers: read by a grammar of our own, and compared exactly.

Where what is decided: `reading.spelling` brings an answer to one spelling, `reading.forms` reads it into a form, and
`comparing.compare` compares two forms. Whether 1/2 is 0.5 stands in `comparing.numbers`, whether two answers in words
are one in `comparing.words`, 1 m and 100 cm in `comparing.measures`, x = 2 and 2 in `comparing.names`, x(x+1) and
x^2+x in `comparing.symbolic`. `worker` puts these in order, and `comparer` sees to it that none takes too long.
"""

from verifiers.mathematics.verifier import Comparison, MathVerifier, MathVerifyVerifier

__all__ = ["Comparison", "MathVerifier", "MathVerifyVerifier"]
