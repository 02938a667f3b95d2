"""The text that the prompt model and the rationale model read and write; interoperable with the released generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.languages import find_language
from selfplay.config.domains import Domain, ProblemKind
from verifiers.model import Task
from verifiers.patterns import linear

BEGIN_RATIONALE, END_RATIONALE = "<!-- BEGIN RATIONALE -->", "<!-- END RATIONALE -->"
BEGIN_PROBLEM, END_PROBLEM = "<!-- BEGIN PROBLEM -->", "<!-- END PROBLEM -->"
_DEFINED = linear.compile(r"\bdef[ \t]{1,8}([A-Za-z][A-Za-z0-9_]{0,63})[ \t]{0,8}\(")
"""A function of starter code; what begins with an underscore is no one's to call."""
MARKERS = (BEGIN_RATIONALE, END_RATIONALE, BEGIN_PROBLEM, END_PROBLEM)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A completion of the prompt model, taken apart; `fault` says why it could not be."""

    rationale: str = ""
    problem: str = ""
    fault: str = ""


def prompt_input(domain: Domain, concepts: Sequence[str], level: str) -> str:
    """The input of the prompt model p(z, x | c)."""
    return fill(domain.prompt_template, concepts=numbered(concepts), level=level)


def rationale_input(domain: Domain, concepts: Sequence[str], level: str, problem: str) -> str:
    """The input of the rationale model q(z | c, x)."""
    return fill(domain.rationale_template, concepts=numbered(concepts), level=level, problem=problem)


def solver_input(domain: ProblemKind, task: Task) -> str:
    """The policy's prompt: the problem, and what is to be written where that is no plain answer or Python program."""
    template = solver_template(domain, task)
    if task.entry_point is not None:
        return fill(template, problem=task.problem, entry_point=task.entry_point)
    if task.language != "python":
        title = find_language(task.language).title
        return fill(template, problem=task.problem, language=title, tag=task.language)
    return fill(template, problem=task.problem)


def solver_template(domain: ProblemKind, task: Task) -> str:
    """The template of the policy's prompt for a task, of the domain's three."""
    if task.entry_point is not None:
        return domain.function_template
    return domain.solver_template if task.language == "python" else domain.language_template


def new_task(domain: Domain, problem: str) -> Task:
    """A new problem as a task without a label; where programs solve it, with the kind of program that is asked for."""
    kind = domain.new_programs
    if not domain.runs_programs:
        return Task(problem)
    named = _DEFINED.search(problem) if kind.function is not None else None
    return Task(problem, language=kind.language, entry_point=named.group(1) if named else kind.function)


def asked_for(task: Task) -> str:
    """The form of an answer to a task, in a few words; empty for plain answers and Python programs."""
    if task.entry_point is not None:
        return f"function {task.entry_point}"
    return "" if task.language == "python" else f"program in {find_language(task.language).title}"


def fill(template: str, **values: str) -> str:
    """Puts values in at once, so that braces inside a value are never taken for a field."""
    parts = template.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}")
        filled.append(values[name] + rest if closed and name in values else "{" + part)
    return "".join(filled)


def numbered(concepts: Sequence[str]) -> str:
    """The concepts as a numbered list, one a line."""
    return "\n".join(f"{number}. {concept}" for number, concept in enumerate(concepts, 1))


def rationale_block(rationale: str) -> str:
    """A rationale between its markers."""
    return f"{BEGIN_RATIONALE}{rationale}{END_RATIONALE}"


def problem_block(problem: str) -> str:
    """A problem between its markers."""
    return f"{BEGIN_PROBLEM}{problem}{END_PROBLEM}"


def parse_rationale(completion: str) -> Parsed:
    """Takes the first rationale block; it must be there and not be empty."""
    rationale, fault, _ = _block(completion, 0, BEGIN_RATIONALE, END_RATIONALE, "rationale")
    return Parsed(rationale=rationale, fault=fault)


def parse_completion(completion: str) -> Parsed:
    """Takes the first rationale block and the first problem block, in this order, both not empty."""
    rationale, fault, end = _block(completion, 0, BEGIN_RATIONALE, END_RATIONALE, "rationale")
    if fault:
        return Parsed(fault=fault)
    first_problem = completion.find(BEGIN_PROBLEM)
    if 0 <= first_problem < end:
        return Parsed(fault="problem block before the end of the rationale")
    problem, fault, _ = _block(completion, end, BEGIN_PROBLEM, END_PROBLEM, "problem")
    return Parsed(fault=fault) if fault else Parsed(rationale=rationale, problem=problem)


def parse_problem(completion: str) -> Parsed:
    """Takes the first problem block of a completion without rationale; it must be there and not be empty."""
    problem, fault, _ = _block(completion, 0, BEGIN_PROBLEM, END_PROBLEM, "problem")
    return Parsed(problem=problem, fault=fault)


def completion_parser(rationales: bool) -> Callable[[str], Parsed]:
    """The parser of a prompt model's completions, with rationales or without."""
    return parse_completion if rationales else parse_problem


def _block(text: str, start: int, begin: str, end: str, name: str) -> tuple[str, str, int]:
    opened = text.find(begin, start)
    if opened < 0:
        return "", f"no {name} block", start
    closed = text.find(end, opened + len(begin))
    if closed < 0:
        return "", f"{name} block not closed", start
    content = text[opened + len(begin) : closed].strip()
    if not content:
        return "", f"empty {name}", start
    if any(marker in content for marker in MARKERS):
        return "", f"a marker inside the {name}", start
    return content, "", closed + len(end)
