"""The benchmark: fleetd beside other supervisors and beside a floor in C, all with the same worker.

`make bench` runs it, docs/performance.md explains it.  It is a program, not a test: pytest does not collect it.
"""
