# A front with one-line targets over Bazel; not a second build.
# `make help` lists them.

BAZEL ?= bazel
RUN_TESTS = tools/run_tests
# What has threads, or talks to what has; the rest is pure.
THREADED = //base/... //checkpoint/... //client/... //coordinator/... \
  //stage_server/...
# All code of ours; //tests runs the same code once more, in whole systems.
CODE = $(THREADED) //models/... //schedule/...

PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help setup build install deb demo test convergence format lint bench asan \
  tsan chaos clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup:  ## install what is missing (Debian packages, libtorch)
	@tools/setup

build: setup  ## build every binary
	@$(BAZEL) build //coordinator:penstock-coordinator //checkpoint:penstock-store //stage_server:penstock-stage-server //client:penstock

install:  ## install what `make build` has built: PREFIX=/usr/local DESTDIR=
	@tools/install --prefix "$(PREFIX)" --destdir "$(DESTDIR)"

deb: build  ## make a Debian package of it in dist/
	@tools/package_deb

demo: setup  ## train gpt-nano on real text: coordinator and 2 stage servers
	@tools/demo

test: setup  ## run all tests
	@$(RUN_TESTS)

asan: setup  ## the tests beside the code under AddressSanitizer and UBSan
	@$(RUN_TESTS) --config=asan $(CODE)

tsan: setup  ## the tests of what has threads under ThreadSanitizer
	@$(RUN_TESTS) --config=tsan $(THREADED)

chaos: setup  ## 100,000 simulated clusters, then 200 real ones: all that can fail
	@$(BAZEL) build //tests/simulation
	@seq 0 1000 99000 | xargs -P "$$(nproc)" -I{} \
	  bazel-bin/tests/simulation/simulation --first={} --seeds=1000
	@$(BAZEL) test //tests/e2e:crash_matrix_test --test_output=streamed \
	  --cache_test_results=no --test_timeout=7200 --test_arg=--runs=200 \
	  --test_arg=--seed=$$(date +%s)

bench: setup  ## measure; prints ratios with their spread
	@tools/bench

convergence: build  ## what weight versions cost in loss: a table and a picture
	@tools/setup --plots && tests/convergence/convergence.py

format:  ## clang-format every C++ file of ours
	@tools/setup --lint && git ls-files '*.h' '*.cc' | xargs clang-format -i

lint:  ## formatting, shell scripts, clang-tidy on the pure folders
	@tools/setup --lint && tools/lint

clean:  ## forget build results (the per-user cache stays)
	@$(BAZEL) clean
