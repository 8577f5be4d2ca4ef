"""trunkline is killed, at every point where it matters and at any moment, and must be right afterwards.

    python -m tests.torture --n 1000 --seed 7 [--seconds 600]        or: make torture N=1000

A small real project (git, DVC, four stages) is changed at random, and brought up to date by runs that are
killed. After each kill the project is looked at (`checks`); now and then a run is left alone, and what it
leaves must equal, byte for byte, what a run from scratch makes of the same sources.

    forks      commands in processes forked from this one
    world      the project, its changes, its run from scratch
    checks     what must hold after a crash, seen without trunkline's help
    kills      the kills: by point, by timer; of trunkline, its template, a worker
    troubles   a full disk, a read-only cache, damaged objects, other commands at the same time
    rounds     all of it in loops, and the table
"""
