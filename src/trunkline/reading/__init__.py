"""Data as they were at a version, read where they lie: in the cache, or brought there from the DVC remote.

Nothing is checked out. Arrow is known here, DVC's remotes through the room of the runners.
"""
