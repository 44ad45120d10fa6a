# make run: builds and starts the collector on its embedded store.   make test: all tests, with what they need.
# Needs a Debian machine with cargo; whatever else is missing is installed by its package name.

# Real exporters, servers and readers that the tests run against.
TEST_PACKAGES = curl openssl softflowd pmacct nfdump tshark redis-server redis-tools sqlite3
TEST_PROGRAMS = curl openssl softflowd pmacctd nfdump tshark redis-server redis-cli sqlite3

.PHONY: run test lint bench bless build test-packages

run:
	cargo run --release -- serve

build:
	cargo build --release

test: test-packages
	cargo test --workspace

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run -q -p xtask -- elements --check

bench:
	cargo bench --workspace

# Takes what the program says today as what it should say: look at the difference before you commit it.
bless:
	cargo run -q -p xtask -- elements
	UPDATE_EXPECT=1 cargo test --workspace

test-packages:
	@missing=; for program in $(TEST_PROGRAMS); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then echo "installing for the tests:$$missing"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null; fi
