"""A domain of its own: questions about a database, answered in SQL and judged by what the queries return.

Two queries are the same when they return the same rows from a real SQLite database. Both are run in the sandbox, since
a query of a model may never end or fill the memory. `extract` and `equal` are what votes need to label new questions:

    domains:
      sql:
        verifier: examples.sql_answers:SQLAnswers
        verifier_params: {database: shop.sql}

The database is a script of CREATE and INSERT statements. The gold answer of a task is a query, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from sandbox.model import Execution, Limits, Program, Sandbox, Status
from verifiers.extraction import final_text
from verifiers.model import Task, Verdict
from verifiers.programs.runner import OpenSandbox, ProgramRunner, open_default

LIMITS = Limits(cpu_s=2.0, wall_s=6.0, memory_mb=256)
MOST_ROWS = 1000
ASK = f"""
import json, sqlite3, sys
asked = json.load(sys.stdin)
database = sqlite3.connect(":memory:")
database.executescript(asked["database"])
database.execute("PRAGMA query_only = ON")
try:
    rows = database.execute(asked["query"]).fetchmany({MOST_ROWS} + 1)
except sqlite3.Error as error:
    print(json.dumps({{"fault": str(error)[:200]}}))
else:
    print(json.dumps({{"rows": [list(map(repr, row)) for row in rows]}}))
"""


class SQLAnswers:
    """Right is a query that returns the rows of the gold query, in any order unless both queries order them.

    Statuses: correct, wrong, no_answer, and, without a reward: gold_unparsable (the gold query fails), not_checked
    (there is no sandbox).
    """

    name = "sql_answers"

    def __init__(self, *, database: str, workers: int = 1, open_sandbox: OpenSandbox = open_default) -> None:
        """Takes the file of statements that make the database; raises OSError when it can't be read."""
        self._database = Path(database).read_text(encoding="utf-8")
        self._runner = ProgramRunner(workers=workers, open_sandbox=open_sandbox)
        self._rows = lru_cache(4096)(self._ask)
        self.fingerprint = f"sql_answers/1/{sha256(self._database.encode()).hexdigest()[:16]}"

    def extract(self, completion: str) -> str | None:
        """Returns the last block of SQL after the thinking, or None."""
        text = final_text(completion) or ""
        begun = text.rfind("```sql\n")
        block, fence, _ = text[begun + 7 :].partition("```")
        return block.strip() or None if begun >= 0 and fence else None

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two queries return the same rows; False where one of them fails."""
        found = [self._rows(query) for query in (first, second)]
        if any(isinstance(rows, str) for rows in found):
            return False
        ordered = all("order by" in query.casefold() for query in (first, second))
        one, other = (rows if ordered else sorted(rows) for rows in found)
        return one == other

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        gold, query = task.answer or "", self.extract(completion)
        if isinstance(fault := self._rows(gold), str):
            return Verdict(None, None, "gold_unparsable", f"the gold query can't be run: {fault}")
        if query is None:
            return Verdict(False, 0.0, "no_answer", "there is no closed block of SQL after the thinking")
        if isinstance(fault := self._rows(query), str):
            return Verdict(False, 0.0, "wrong", fault)
        same = self.equal(gold, query)
        return Verdict(same, float(same), "correct" if same else "wrong", "" if same else "it returns other rows")

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Closes the sandbox."""
        self._runner.close()

    def _ask(self, query: str) -> list[list[str]] | str:
        """The rows that a query returns, or why there are none."""
        asked = json.dumps({"database": self._database, "query": query}).encode()

        def work(sandbox: Sandbox) -> list[Execution]:
            return sandbox.run(Program(ASK), [asked], LIMITS)

        execution = self._runner.submit(work).result()[0]
        if execution.status is Status.SANDBOX_ERROR:
            raise RuntimeError(execution.reason)
        if execution.status is not Status.OK:
            return f"the query ended with {execution.status}"
        said = json.loads(execution.stdout)
        if "fault" in said:
            return str(said["fault"])
        rows: list[list[str]] = said["rows"]
        return rows if len(rows) <= MOST_ROWS else f"the query returns more than {MOST_ROWS} rows"
