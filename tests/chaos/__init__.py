"""Real processes, killed, paused, cut off and filled up while senders retry as SDKs do.

`world` holds the processes, `proxy` the links between them, `senders` the clients, `faults` what is done to them,
`verdict` what came of it. `python -m tests.chaos --minutes 10` runs long; the test suite runs it shortly.
"""
