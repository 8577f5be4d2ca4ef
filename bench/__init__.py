"""The performance budgets, measured: each beside what it is measured against, in the same minutes.

    python -m bench                 all of them, about ten minutes
    python -m bench nothing commit  two of them
    python -m bench --quick         small sizes, to see that everything still works
    python -m bench --json FILE     the figures for a machine

Whole processes are measured, as a person starts them, from outside. `docs/benchmarks.md` says what
is compared with what.
"""
