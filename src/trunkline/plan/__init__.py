"""What has to be done, as values: no I/O, no clock, no random source.

graph     which stages, in which order
globs     which files of a dataset an input stands for
datums    which units of work they form
keys      under which key each one's result is known
code      what counts as code, and its digest
decide    run, reuse, drop, relock or wait, with the reasons
explain   the same for people and for programs
"""
