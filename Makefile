# Everything that is built or downloaded lies outside the clone, so that a fresh clone starts warm.
CACHE := $(or $(STEAD_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stead-dev)
export CARGO_TARGET_DIR ?= $(CACHE)/target
export STEAD_NODE_MODULES ?= $(CACHE)/npm/node_modules
export STEAD_TEST_IMAGES ?= $(CACHE)/images
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
RELEASE := $(CARGO_TARGET_DIR)/$(HOST)/release
PREFIX ?= $(HOME)/.local

.PHONY: help run build install test test-long test-deps check fmt bench fuzz pictures

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: build ## build, start the steward, open a first session in a sandbox
	@scripts/run.sh $(RELEASE)

build: ## the programs, in release
	@scripts/deps-build.sh
	cargo build --locked --release -p stead -p stead-hold -p stead-box -p stead-vm -p stead-system

install: build ## the programs, man pages and completions below PREFIX
	@scripts/install.sh $(RELEASE) $(PREFIX)

test-deps: ## what the tests need: Debian packages, agents, the reference terminal
	@scripts/deps-build.sh
	@scripts/deps-test.sh $(CACHE)
	@scripts/deps-qemu.sh $(CACHE)

test: test-deps ## every test that is quick enough for each change
	cargo build --locked --workspace
	PATH="$$PATH:$(CACHE)/peers/bin" scripts/test.sh
	@scripts/fuzz.sh 10

test-long: test-deps ## the survival matrix at 50 instants a row, operations cut short at 300, every kind of guest, long fuzzing
	@scripts/deps-qemu.sh $(CACHE) long
	cargo build --locked --workspace
	STEAD_TEST_INSTANTS=50 cargo test --locked --workspace --test survival -- --nocapture
	STEAD_TEST_INSTANTS=300 cargo test --locked --workspace --test operations -- --nocapture killed_at_any_time
	STEAD_TEST_INSTANTS=60 cargo test --locked --workspace --test vms -- --nocapture killed_at_any_time
	STEAD_TEST_CONFORMANCE=whole PATH="$$PATH:$(CACHE)/peers/bin" cargo test --locked --workspace --test qemu -- --nocapture conforms
	@scripts/fuzz.sh 300

check: ## format, lints, documentation, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p stead-engines -p stead-system --test qemu --test debian_vm --test audit_vm -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps --document-private-items
	@scripts/audit.sh $(CACHE)

fmt: ## format
	cargo fmt --all

bench: build ## measure against tmux, shpool, zellij, dtach; bubblewrap and podman
	@bench/install-peers.sh
	cargo run --locked --release -p stead-bench -- --stead $(RELEASE)
	cargo run --locked --release -p stead-bench -- --stead $(RELEASE) --machines
	@scripts/deps-qemu.sh $(CACHE)
	PATH="$$PATH:$(CACHE)/peers/bin" cargo run --locked --release -p stead-bench -- --stead $(RELEASE) --vms
	cargo run --locked --release -p stead-bench -- --stead $(RELEASE) --systems

fuzz: ## every fuzz target for a minute
	@scripts/fuzz.sh 60

pictures: build ## the pictures in README and docs, from the real program
	@scripts/pictures.sh $(RELEASE)
