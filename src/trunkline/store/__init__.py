"""Data by content: DVC's cache, pointers, locks and ignore lines, and the memory of what was hashed.

`store.DvcStore` is the whole of it for everybody else. Formats on disk are DVC's own; they are
written natively where DVC's code is slow, and checked against DVC by the conformance tests.
"""
