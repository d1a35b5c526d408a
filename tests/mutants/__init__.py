"""Mutation testing: one module, changed in every small way that mutmut knows; a test should fail for each.

`make mutants MODULE=exporter/delivery/breaker.py` prints those that no test noticed.
"""
