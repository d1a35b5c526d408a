"""A disk under test: what a program does to the files of a folder is written down, and fails when it is told to.

`preload.c` stands between the program and the system (LD_PRELOAD), `library` compiles it and says how to start a
program with it, `trace` reads what it wrote down, `model` builds from that the folder as a power cut would leave it,
`faults` makes calls fail.
"""
