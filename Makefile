# Every target sets up what it needs in .venv by itself, once. Plain make (GNU make 3.81 and later, BSD make):
# the work is in tools/dev.py, which needs nothing but Python's standard library.
#
#   make demo     run the main job against local stand-ins for the providers     (ARGS="..." is passed on)
#   make test     run the tests                                                 (ARGS="tests/ledger_fortress -x")
#   make coverage run them with branch coverage, which takes twice as long
#   make check    formatting, lint, types, import contracts; runs no test
#   make bench    run the benchmarks, one JSON object per line                  (ARGS="bridge" for one)
#   make prove    run the tests and proofs at size N                            (N=100000)
#   make simulate run N generations in a simulated world that goes wrong        (N=1000000 ARGS="--jobs 2")
#   make docs     build the documentation's site into build/site, strictly
#   make schemas  write the published JSON Schemas from the code
#   make wheel    build the wheel and try it in an empty environment
#   make setup    only build .venv, with everything that contributors need
#   make clean    remove .venv and everything that a run leaves behind

.POSIX:
.PHONY: help demo test coverage check bench prove simulate docs schemas wheel setup clean

help:
	@sed -n 's/^#   //p' Makefile

demo test coverage check bench prove simulate docs schemas wheel setup clean:
	@sh tools/dev.sh $@ $(ARGS)
