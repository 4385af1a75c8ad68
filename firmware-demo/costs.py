"""Fits instructions per operator to what was counted: `costs.py COUNTS OUT`, called by `costs`.

An operator is estimated as `a * MACs + b * numbers + c * taps` (numbers that it writes; taps: positions times the kernel's
area), with factors of its kind and target that are not negative. The sum over operators of (estimate - count)^2 / count is
the least: large operators count most, but small ones are not ignored.
"""

import itertools
import json
import sys
from pathlib import Path


def solve(matrix, vector):
    """A small system of linear equations, by elimination; None if it is singular."""
    n = len(vector)
    rows = [list(row) + [value] for row, value in zip(matrix, vector)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        if abs(rows[pivot][i]) < 1e-9:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(n):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def fit(samples):
    """Factors for [(terms, count)]: the best of all choices of terms whose factors come out as not negative."""
    best, least = [0.0, 0.0, 0.0], float("inf")
    for size in (1, 2, 3):
        for chosen in itertools.combinations(range(3), size):
            matrix = [[sum(t[i] * t[j] / n for t, n in samples) for j in chosen] for i in chosen]
            factors = solve(matrix, [sum(t[i] for t, _ in samples) for i in chosen])
            if factors is None or min(factors) < 0:
                continue
            full = [0.0, 0.0, 0.0]
            for i, factor in zip(chosen, factors):
                full[i] = factor
            error = sum((sum(f * x for f, x in zip(full, t)) - n) ** 2 / n for t, n in samples)
            if error < least * 0.9999:
                best, least = full, error
    return best


def estimate(factors, terms):
    return sum(f * x for f, x in zip(factors, terms))


def read(path):
    """Lines of a target that are no operators, and (network, kind, terms, count) of every operator."""
    facts, ops, listing, network = {"code": 0, "stack": 0}, [], None, None
    for line in path.read_text().splitlines():
        match line.split():
            case [("code" | "stack") as name, size]:
                facts[name] = max(facts[name], int(size))
            case ["model", file]:
                network, listing = Path(file).stem, json.loads(Path(file).read_text())["ops"]
            case ["op", index, count]:
                cost = listing[int(index)]["cost"]
                ops.append((network, cost["kind"], cost["terms"], max(int(count), 1)))
            case other:
                sys.exit(f"{path}: {other}")
    return facts, ops


def fits(ops):
    """Factors of each kind."""
    kinds = sorted({kind for _, kind, _, _ in ops})
    return {kind: fit([(terms, count) for _, k, terms, count in ops if k == kind]) for kind in kinds}


def errors(target, ops):
    """Prints what estimates miss of shipped models, by factors that are fitted without them."""
    for model in ("nano", "micro", "small"):
        others = fits([op for op in ops if not op[0].startswith(f"fashion-{model}")])
        for bits in ("16", "8"):
            own = [op for op in ops if op[0] == f"fashion-{model}-{bits}"]
            counted = sum(count for _, _, _, count in own)
            estimated = sum(estimate(others[kind], terms) for _, kind, terms, _ in own)
            error = 100 * (estimated / counted - 1)
            print(f"| {target} | {model} | {bits} bits | {counted:,} | {estimated:,.0f} | {error:+.1f} % |")


def main():
    counts, out = Path(sys.argv[1]), Path(sys.argv[2])
    lines = [
        "# Instructions of operators, counted in QEMU and fitted; written by firmware-demo/costs.",
        "# TARGET code BYTES: what the runtime takes of flash. TARGET stack BYTES: the deepest stack of any network.",
        "# TARGET KIND: factors of MACs, of numbers written, and of taps.",
    ]
    print("| target | model | maps | counted | estimated without it | error |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for path in sorted(counts.glob("*.txt")):
        facts, ops = read(path)
        lines += [f"{path.stem} {name} {size}" for name, size in facts.items()]
        lines += [f"{path.stem} {kind} " + " ".join(f"{x:.3f}" for x in row) for kind, row in fits(ops).items()]
        errors(path.stem, ops)
    out.write_text("\n".join(lines) + "\n")


main()
