"""Measures time ratios against bare HTTP that makes the same calls, peak memory, and throughput: `make bench`.

Exits with 1 if a figure is over its limit. Times are ratios because the speed of machines differs; each is a ratio of
medians that were taken alternately in the same run. The simulator is not measured: the app and the bare scripts have
processes of their own, and the simulator's answers are prepared.

    python -m benchmarks [--whole]

With `--whole`, the inspection of 2,000 tokens is one run of five minutes; without it, it is estimated from 200 tokens.
"""

import sys
from collections.abc import Iterable

from rich.console import Console

from benchmarks.checks import large, small
from benchmarks.inspections import many_tokens, one_token
from benchmarks.measure import Figure, Sizes
from cli.view import print_table
from simulator.stack import Simulator


def main(arguments: list[str]) -> int:
    sizes = Sizes()
    if arguments == ["--whole"]:
        sizes = sizes._replace(sample=sizes.tokens)
    elif arguments:
        raise SystemExit("usage: python -m benchmarks [--whole]")
    with Simulator(on_step=lambda step: print(f"Starting {step} ...", file=sys.stderr)) as sim:
        return shown(figures(sim, sizes))


def figures(sim: Simulator, sizes: Sizes) -> list[Figure]:
    return [*small(sim, sizes), *large(sim, sizes), *one_token(sim, sizes), *many_tokens(sim, sizes)]


def shown(figures: Iterable[Figure]) -> int:
    """Print the figures and return the exit code."""
    rows = [(what, measured, limit, "ok" if good else "OVER") for what, measured, limit, good in figures]
    print_table(Console(highlight=False), ("Figure", "Measured", "Limit", ""), rows)
    return 1 if any(row[-1] == "OVER" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
