# Every task by name; each recipe is a plain command that also works by hand.
# Rust comes from rustup; what else `make test` needs it installs where it is missing (Debian and Ubuntu).

# How long each fuzz target runs in `make test`, in seconds.
FUZZ_SECONDS ?= 20

# Tools built here are found by `cargo hack` and the like, as those already installed are.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

# Where `make plot` draws.
PLOT ?= docs/uploads-at-once.svg

# How long the soak lasts, in seconds.
SOAK_SECONDS ?= 1800

# How many times `make crash` kills the server.
CRASH_KILLS ?= 300

.PHONY: help run test bench plot soak crash instructions fmt lint unit docs features package deny fuzz client django picture tools packages

help: ## list the tasks
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

run: ## build and serve on http://127.0.0.1:7070
	cargo run --release

test: packages tools lint unit docs features package deny fuzz client django ## all that CI runs

bench: target/django target/tus ## throughput, memory, polls beside a bare loop, axum, nginx, Django and servers of tus
	cargo bench --bench throughput

plot: ## throughput, memory and CPU from 1 to 9,000 uploads at once, drawn into PLOT
	cargo bench --bench throughput -- plot $(PLOT)

# What `make bench` compares with. What Python or npm cannot bring here is left out, which the benchmark says.
target/django: benches/throughput/django/requirements.txt
	python3 -m venv $@ && $@/bin/pip install --quiet --requirement $< && touch $@ || rm -rf $@

target/tus: $(addprefix benches/throughput/tus/,package.json package-lock.json server.mjs)
	mkdir -p $@ && cp $^ $@ && npm ci --prefix $@ && touch $@ || rm -rf $@

soak: ## mixed load for SOAK_SECONDS; memory and descriptors must stay flat
	SOAK_SECONDS=$(SOAK_SECONDS) cargo test --release --test it soak:: -- --nocapture

crash: ## CRASH_KILLS times kill -9, and a power failure between any two system calls: nothing acknowledged is lost
	CRASH_KILLS=$(CRASH_KILLS) CRASH_CUTS=1000000 cargo test --test it crash:: -- --nocapture

instructions: ## what limits and tracking cost, in instructions per MiB (valgrind)
	cargo bench --bench instructions

fmt: ## format the code
	cargo fmt

lint: ## formatting and clippy, a warning fails
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings
	cargo clippy --all-targets --no-default-features -- -D warnings

unit: client/node_modules/.package-lock.json target/django-app ## tests in Rust; all must run, none may be left out
	TEST_ALL=1 SOAK_SECONDS=60 cargo test --all-features
	cargo test --no-default-features --lib

docs: ## the documentation builds without a warning
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --all-features

features: ## each feature alone compiles, with its tests, examples and benches
	cargo hack check --each-feature --all-targets

package: ## the crate as it would be published builds from its own files
	cargo package --allow-dirty

deny: ## licences, banned crates, where crates come from
	cargo deny check bans licenses sources

# Without a sanitizer the stable toolchain does. What a run finds goes to target/, the seeds in fuzz/corpus stay as
# they are.
fuzz: ## every fuzz target for FUZZ_SECONDS, from its seeds
	set -e; targets=$$(cargo fuzz list); for target in $$targets; do \
		mkdir -p target/fuzz/$$target fuzz/corpus/$$target; \
		cargo fuzz run -s none $$target target/fuzz/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

client: client/node_modules/.package-lock.json examples/article/node_modules/.package-lock.json examples/widgets/node_modules/.package-lock.json target/tuspy target/django-app ## type check and browser tests
	cd client && npm test

django: target/django-app target/django-app-4.2 ## the package for Django: types, and its tests on both Djangos
	cd integrations/django && ../../target/django-app/bin/mypy
	set -e; for venv in $^; do \
		cd $(CURDIR)/integrations/django && PYTHONPATH=src ../../$$venv/bin/python -W error -m django test --settings tests.settings; \
	done

picture: client/node_modules/.package-lock.json ## the page's picture in README.md, taken anew
	cargo build
	cd client && node screenshots.js

# A client for Python that the browser tests' neighbours drive.
target/tuspy: client/test/support/requirements.txt
	python3 -m venv $@
	$@/bin/pip install --quiet --requirement $< || { rm -rf $@; false; }
	touch $@

# An app behind: Django, what serves it, what reads its caches. One for each Django that the package is for.
target/django-app target/django-app-4.2: $(addprefix integrations/django/requirements/,app.txt django-5.2.txt django-4.2.txt)
	python3 -m venv $@
	$@/bin/pip install --quiet --requirement integrations/django/requirements/django-$(if $(filter %-4.2,$@),4.2,5.2).txt || { rm -rf $@; false; }
	touch $@

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci
	touch $@

tools: ## cargo's helpers, built where they are missing
	command -v cargo-hack || cargo install --locked --root target/tools cargo-hack@0.6.46
	command -v cargo-fuzz || cargo install --locked --root target/tools cargo-fuzz@0.13.2
	command -v cargo-deny || cargo install --locked --root target/tools cargo-deny@0.20.2

packages: ## programs that the tests drive, from Debian where they are missing
	.ci/packages
