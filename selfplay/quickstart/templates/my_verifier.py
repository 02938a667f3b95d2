"""Your verifier: the recipe beside this file names it, and every completion of the run is judged by it.

Change it and try it: `selfplay check recipe.yaml` has it judge the worked solutions in problems.csv.
"""

from verifiers.extraction import final_text
from verifiers.model import Task, Verdict


def right(task: Task, completion: str, most_words: int = 60) -> Verdict:
    """Passes what ends in the right answer, within so many words; True, False or a number in [0, 1] would do, too."""
    text = final_text(completion) or ""  # what follows the thinking; nothing, where that never ends
    words = text.replace("\\boxed{", " ").replace("}", " ").replace("$", " ").rstrip(" .\n").split()
    if not words or len(words) > most_words:
        return Verdict(False, 0.0, "too_long" if words else "empty", f"{len(words)} words")
    passed = words[-1] == task.answer
    return Verdict(passed, float(passed), "correct" if passed else "wrong", f"ends in {words[-1][:40]!r}")


def brief(task: Task, completion: str, most_words: int = 60) -> bool:
    """Passes what has at most so many words, right or wrong: a part of a composite."""
    return len(completion.split()) <= most_words
