# Two commands: `make demo` plays the story, `make test` passes every test. Both build what is missing.

CARGO ?= cargo
# quick: minutes; real: the story's own times, about half an hour.
PACE ?= quick
KEEP ?= 0
FORCE ?= 0
# How long `make fuzz` throws at each target.
FUZZ_SECONDS ?= 60

IMAGE ?= lagscale:0.1.0
SAMPLE_IMAGE ?= lagscale-sample:0.1.0
BUNDLE_IMAGE ?= lagscale-bundle:0.1.0
# Programs that make has built are not run by cargo: it waits until nothing else is compiled, and compiles anew for another choice of packages.
BUILT = $${CARGO_TARGET_DIR:-target}
DEBUG = $(BUILT)/debug
REVISION = $(shell git rev-parse HEAD 2> /dev/null || echo unknown)
COMMITTED = $(shell git log -1 --format=%cI 2> /dev/null || echo 1970-01-01T00:00:00Z)
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help demo plan compare test quick lint fmt bed bed-program parts programs crds bundle certs deny sbom fuzz corpora book static static-path image sample-image bundle-image

help:
	@echo "make demo          the story on real Kafka and a real control plane (PACE=real: its own times; KEEP=1: stays up)"
	@echo "make test          every test, real parts included"
	@echo "make compare       the same work through KEDA and lagscale on this machine; writes docs/compare.md (an hour; builds KEDA once)"
	@echo "make quick         fmt, clippy, and the tests that need no real part"
	@echo "make lint          fmt and clippy"
	@echo "make static        the static binary, stripped, for an empty image"
	@echo "make image         that in an image (IMAGE=$(IMAGE)), target/image/lagscale.tar; make sample-image: the story's pump and consumer; make bundle-image: manifests/olm"
	@echo "make certs         serving CA and certificate for a cluster, into certs/ (FORCE=1: anew)"
	@echo "make crds          manifests/base/crds.yaml and the chart's from the types"
	@echo "make bundle        manifests/olm from manifests/base, for the Operator Lifecycle Manager"
	@echo "make fuzz          a minute of hostile answers for each decoder (nightly; installs cargo-fuzz; FUZZ_SECONDS=60)"
	@echo "make corpora       the seeds of the fuzz targets anew, in tests/corpora"
	@echo "make deny          licences, bans, sources and advisories of all dependencies (installs cargo-deny)"
	@echo "make book          the pages of docs as a site, target/book (installs mdbook)"
	@echo "make sbom          a CycloneDX bill of materials of the binary (installs cargo-cyclonedx)"

demo: plan
	$(MAKE) --no-print-directory -j2 bed programs
	@echo "demo: 2 of 2, the story"
	$(DEBUG)/demo --pace $(PACE) $(if $(filter 1,$(KEEP)),--keep)

compare: bed static
	$(CARGO) build --profile bench --locked -p bed --bin compare --examples
	$(BUILT)/release/compare

# Side by side: the optimisation at link time leaves a core idle, on which the programs of others are built.
test:
	$(MAKE) --no-print-directory -j2 parts static
	$(CARGO) test --locked --workspace

quick: lint
	$(CARGO) test --locked --test rooms --test readme --test docs
	$(CARGO) test --locked --workspace --lib --bins --test answers --test api --test object --test model --test manifests --test poll --test reference_cases

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt:
	$(CARGO) fmt --all

plan:
	@echo "demo: 1 of 2, build or fetch a Kubernetes control plane and Kafka (once), and beside it compile lagscale and the story's programs;"
	@echo "      2 of 2, the story"

bed-program:
	$(CARGO) build --locked -p parts

# The real parts, built or fetched once and kept outside target.
bed: bed-program
	$(DEBUG)/bed-prepare

# Those of every test.
parts: bed-program
	$(DEBUG)/bed-prepare --all

programs: bed-program
	$(CARGO) build --locked -p lagscale -p bed --bin lagscale --bin demo --examples

crds:
	$(CARGO) run --locked -q --bin lagscale -- crds > manifests/base/crds.yaml.new
	mv manifests/base/crds.yaml.new manifests/base/crds.yaml
	cp manifests/base/crds.yaml charts/lagscale/files/crds.yaml

# The bundle for the Operator Lifecycle Manager, of the base; tests/chart has its library look at it.
bundle:
	$(CARGO) run --locked -q -p bed --bin bundle

certs:
	$(CARGO) run --locked -q --bin lagscale -- certs --directory certs $(if $(filter 1,$(FORCE)),--force)

# Nothing is linked at run time, so that it runs where there is nothing else.
static:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --bin lagscale --target $(TARGET)

static-path:
	@echo target/$(TARGET)/release/lagscale

# An OCI archive, without a daemon, and of the same commit the same digest. The Dockerfile makes the same image where there is one.
image: export LAGSCALE_REVISION = $(REVISION)
image: static sbom
	$(CARGO) run --locked -q -p bed --bin image -- --name $(IMAGE) --to target/image/lagscale.tar --created "$(COMMITTED)" \
		--file $$($(MAKE) -s static-path):lagscale --file LICENSE:licenses/LICENSE --file target/sbom/lagscale.cdx.json:sbom/lagscale.cdx.json \
		--entrypoint /lagscale --label org.opencontainers.image.title=lagscale --label org.opencontainers.image.licenses=Apache-2.0 \
		--label "org.opencontainers.image.description=Scales Kafka consumers on Kubernetes by consumer-group lag" \
		--label org.opencontainers.image.version=0.1.0 --label org.opencontainers.image.revision=$(REVISION)

sample-image:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked -p bed --examples --target $(TARGET)
	$(CARGO) run --locked -q -p bed --bin image -- --name $(SAMPLE_IMAGE) --to target/image/lagscale-sample.tar --created "$(COMMITTED)" \
		--file target/$(TARGET)/release/examples/pump:pump --file target/$(TARGET)/release/examples/consumer:consumer

# Its labels are its annotations.
bundle-image:
	$(CARGO) run --locked -q -p bed --bin image -- --name $(BUNDLE_IMAGE) --to target/image/lagscale-bundle.tar --created "$(COMMITTED)" \
		$(foreach file,$(wildcard manifests/olm/*/*),--file $(file):$(file:manifests/olm/%=%)) \
		$$(sed -n 's/^  \(operators[^:]*\): \(.*\)/--label \1=\2/p' manifests/olm/metadata/annotations.yaml)

# Advisories are checked where their database, a git repository, can be fetched.
deny:
	@$(CARGO) deny --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check bans licenses sources
	@if $(CARGO) deny --locked fetch db; then $(CARGO) deny --locked check --disable-fetch advisories; \
		else echo "advisories were not checked: their database could not be fetched"; fi

# The pages of docs as a site; tests/docs.rs looks at their links and commands.
book:
	@mdbook --version > /dev/null 2>&1 || $(CARGO) install --locked mdbook
	mdbook build

# A CycloneDX bill of materials of the binary, target/sbom/lagscale.cdx.json.
sbom:
	@$(CARGO) cyclonedx --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-cyclonedx
	$(CARGO) cyclonedx --format json --target $(TARGET) --override-filename lagscale.cdx
	@mkdir -p target/sbom && mv lagscale.cdx.json target/sbom/ && rm -f tests/*/lagscale.cdx.json

# An input of 64 KiB may cost twenty times its size, as tests/answers has it; the limits are not far above that.
fuzz:
	@$(CARGO) fuzz --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	@for target in $$($(CARGO) fuzz list); do \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target tests/corpora/$$target -- -max_len=65536 \
			-max_total_time=$(FUZZ_SECONDS) -malloc_limit_mb=2 -rss_limit_mb=512 -verbosity=0 -print_funcs=0 -print_final_stats=1 || exit 1; \
	done

corpora:
	$(CARGO) test --locked --test answers corpora_are_written_anew -- --ignored
