"""Your verifier: the recipe beside this file names it, and every completion of the run is judged by it.

Change it and try it: `selfplay check recipe.yaml` has it judge the worked solutions in problems.csv.
"""

from verifiers.model import Task, Verdict


def right(task: Task, completion: str, most_words: int = 60) -> Verdict:
    """Passes what ends in the right answer, within so many words; True, False or a number in [0, 1] would do, too."""
    words = completion.replace("\\boxed{", " ").replace("}", " ").split()
    if not words or len(words) > most_words:
        return Verdict(False, 0.0, "too_long" if words else "empty", f"{len(words)} words")
    passed = words[-1].strip(".$") == task.answer
    return Verdict(passed, float(passed), "correct" if passed else "wrong", f"ends in {words[-1]!r}")


def brief(task: Task, completion: str, most_words: int = 60) -> bool:
    """Passes what has at most so many words, right or wrong: a part of a composite."""
    return len(completion.split()) <= most_words
