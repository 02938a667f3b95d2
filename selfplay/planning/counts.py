"""How many problems, prompts and tasks a run will have: from its files, and from shares that are assumed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from selfplay.config.evaluation import SuiteEvaluation
from selfplay.config.recipe import Recipe
from selfplay.config.rows import DatasetRows, FileRows
from selfplay.config.seeds import DatasetSeeds, FileSeeds, Seeds
from selfplay.planning.rates import Rates, UnusableRates
from verifiers.untrusted.files import LONGEST_ROW, demand_file, open_file, read_json
from verifiers.untrusted.shown import shown

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of a whole recipe, over all domains."""

    seeds: int
    drawn: int
    """Completions of the prompt model."""
    curated: int
    labelled: int
    external: int
    traces: int
    """Rows of trace files."""
    synthetic: bool
    needs_labels: bool

    def tasks(self, asked: int) -> int:
        """Tasks of a round: as many as the rule takes, where there are so many."""
        there = self.external + (self.labelled if self.synthetic else 0)
        return min(asked, there) if asked else there

    def unlabelled(self, asked: int) -> int:
        """Prompts of a round for a rule that may need no labels."""
        there = self.tasks(0) if self.needs_labels else self.external + self.curated
        return min(asked, there) if asked else there


def counts_of(recipe: Recipe, rates: Rates, seeds: int | None = None) -> Counts:
    """The numbers; files are counted, data sets of the hub are not read.

    Args:
        rates: for the shares that remain.
        seeds: training seeds of each domain, in place of those of the files.
    """
    train = sum(_seeds(domain.seeds, rates) if seeds is None else seeds for domain in recipe.domains.values())
    drawn = 0
    if recipe.synthesises:
        drawn = sum(recipe.synthesis.prompts_of(name) for name in recipe.domains) * recipe.synthesis.passes
    curated = int(drawn * rates.curated_share)
    pool = recipe.training.pool
    files = [_rows(source, rates) for source in pool.external.values()]
    external = sum(files) if files else train
    own = recipe.training.pair_files or recipe.training.sft.files
    return Counts(
        seeds=train,
        drawn=drawn,
        curated=curated,
        labelled=int(curated * rates.labelled_share),
        external=0 if pool.arm == "synthetic_only" else external,
        traces=sum(rows_of(Path(file)) for file in own.paths) if own is not None else 0,
        synthetic=pool.arm != "external",
        needs_labels=recipe.training.needs_labels,
    )


PUBLISHED = {
    "aime24": 30,
    "aime25": 30,
    "hmmt25": 30,
    "math500": 500,
    "gsm8k": 1319,
    "minerva": 272,
    "olympiadbench": 674,
    "amc23": 40,
    "gpqa-diamond": 198,
    "humaneval": 164,
    "mbpp": 500,
    "humaneval-plus": 164,
    "mbpp-plus": 378,
    "codeforces": 408,
    "livecodebench-v5": 279,
    "livecodebench-v6": 131,
}
"""Problems of the named suites, as `suites.catalogue` has them, which lies on a floor above."""
OF_A_WINDOW = 300
"""Problems of a suite whose number depends on dates, as assumed."""


def problems_of(suites: SuiteEvaluation, rates: Rates) -> int:
    """Problems of all suites that a run is measured on, together."""
    found = [PUBLISHED.get(name, OF_A_WINDOW) for name in suites.names]
    found += [rates.seeds if one.file is None else rows_of(Path(one.file)) for one in suites.own]
    return sum(min(count, suites.limit or count) for count in found)


def _seeds(source: Seeds, rates: Rates) -> int:
    if isinstance(source, FileSeeds):
        held = source.heldout_share if source.heldout is None else 0.0
        return int(_rows(source.train, rates) * (1 - held))
    return rates.seeds if isinstance(source, DatasetSeeds) else source.train


def _rows(source: FileRows | DatasetRows, rates: Rates) -> int:
    return rows_of(Path(source.path)) if isinstance(source, FileRows) else rates.seeds


def rows_of(file: Path) -> int:
    """Rows of a file in any form in which problems come; 0 of one that is not there, which `selfplay check` tells of.

    Raises:
        UnusableRates: it is damaged, or too large for its form.
    """
    if not file.is_file():
        return 0
    ending = file.suffix.lower()
    if ending == ".parquet":
        import pyarrow.parquet as pq

        demand_file(file, UnusableRates)
        return int(pq.read_metadata(file).num_rows)
    if ending == ".json":
        with open_file(file, UnusableRates) as opened:
            is_list = opened.read(BLOCK).lstrip().startswith(b"[")
        if is_list:
            return len(read_json(file, UnusableRates, "write JSON lines where it is large", finite=False))
    if ending in (".csv", ".tsv"):
        return _csv_rows(file, "\t" if ending == ".tsv" else ",")
    with open_file(file, UnusableRates) as opened:
        lines, last = 0, b"\n"
        while block := opened.read(BLOCK):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")


def _csv_rows(file: Path, comma: str) -> int:
    """Rows below the header; a text in quotes may have several lines."""
    csv.field_size_limit(LONGEST_ROW)
    with open_file(file, UnusableRates) as opened:
        cells = csv.reader((line.decode("utf-8", "replace") for line in opened), delimiter=comma)
        try:
            return max(sum(1 for row in cells if any(row)) - 1, 0)
        except csv.Error as error:
            raise UnusableRates(f"{shown(file)}, line {cells.line_num}: is not CSV ({error})") from error
