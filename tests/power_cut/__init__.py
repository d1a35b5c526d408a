"""The retry buffer after a power cut: what was acknowledged is there, once, whatever the disk made of the rest.

`workloads` is what a process does to a buffer, each answer marked in the trace of its calls; `ledger` says what has to
be there at any moment of it; `cuts` runs a workload, cuts its power at many moments, and starts on what is left;
`verdict` looks at that. `python -m tests.power_cut --minutes 5` runs long; the test suite runs it shortly.
"""
