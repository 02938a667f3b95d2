"""Answers by class: those of one group are the same answer in other notation, those of two groups are not.

Every group is compared with itself and with the other groups of its class, in both directions.
"""

from __future__ import annotations

from tests.verifiers.mathematics.groups_of_forms import FORMS
from tests.verifiers.mathematics.groups_of_numbers import NUMBERS
from tests.verifiers.mathematics.groups_of_words import WORDS

GROUPS = NUMBERS | FORMS | WORDS
