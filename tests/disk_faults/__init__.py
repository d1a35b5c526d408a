"""The retry buffer on a disk whose calls fail: nothing acknowledged is lost, nothing waits for ever, nothing sound is
called damaged.

Beside the fakes of the buffer's own tests this reaches SQLite's calls, too. `session` uses a buffer while one call
fails, or all from then on; `run` does that for many calls of all kinds in a process of its own.
"""
