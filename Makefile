# Short names for what is done most: each target is one line of a script in scripts/, which can be run by itself.
.DEFAULT_GOAL := help
.PHONY: help setup build test demo bench gpu peers clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1|/' | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

setup: ## install what is missing: the distribution's packages, and PyTorch into .venv if none is usable
	@scripts/setup

build: setup ## compile build/whet
	@scripts/build

test: ## set up, build, run all tests
	@scripts/setup --tests
	@scripts/build
	@scripts/test

demo: build ## set up, build, and watch a model train itself, rise, and collapse (a minute or two after the build)
	@scripts/demo

bench: build ## set up, build, measure speed and memory against plain PyTorch
	@scripts/bench

gpu: setup ## build, run the tests that need a GPU, and measure on it; says so and exits 2 where there is none
	@scripts/gpu

peers: build ## whole steps and rollouts beside TRL, transformers and plain PyTorch, by turns; a quarter of an hour
	@scripts/peers

clean: ## remove the build; keeps .venv and runs/
	@rm -rf build build-dev build-asan
