# The two commands of the README are `make demo` and `make test`; `make` alone lists the rest.
CACHE := $(or $(OAUTH_KEEPER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/oauth-keeper)
CARGO ?= cargo

# What a cluster takes, beside the image.
NODE := control-plane node containerd runc cni-plugins iproute2 pod-image helm
IMAGE := target/image.tar

.PHONY: help demo cluster cluster-down test unit api-server oldest faults soak fuzz providers chart image cluster-tests node \
	bench bench-cluster lint deny generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Show the operator at work on a real API server (ARGS=--once: without a terminal)
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	$(CARGO) build --locked --bins --examples
	$(CARGO) run --locked --quiet --example demo -- $(ARGS)

cluster: $(IMAGE) node ## Start a cluster of one node on this machine, with the image in it (as root)
	$(CARGO) run --locked --quiet --example cluster -- up

cluster-down: ## End it
	$(CARGO) run --locked --quiet --example cluster -- down

test: unit api-server oldest faults soak providers chart image cluster-tests ## Run all tests

unit: ## Tests that need no server
	$(CARGO) test --locked --workspace --lib --bins --test generated --test architecture --test rotation_model \
		--test oauth_http --test transport --test presets --test fuzz --test process --test documented

api-server: ## Tests on a real kube-apiserver and etcd (KUBERNETES=1.33: of that version)
	tests/tools/install control-plane$(addprefix -,$(KUBERNETES)) >/dev/null
	tests/tools/install helm >/dev/null
	tests/tools/install helm-3 >/dev/null
	TEST_KUBERNETES=$(KUBERNETES) $(CARGO) test --locked --test api_server

# What the API server itself has a part in, and the main job.
oldest: ## The API-server tests that matter most, on the oldest supported Kubernetes
	TEST_MODULES=crd,admission,main_job,rotation,deletion,chart $(MAKE) api-server KUBERNETES=1.33

faults: ## Everything that can go wrong with a refresh token, made to go wrong (FULL=1: at length, half an hour)
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	tests/tools/install oidc-provider >/dev/null
	tests/tools/install keycloak >/dev/null
	$(if $(FULL),OAUTH_KEEPER_FULL=1) $(CARGO) test --locked --features fail-points --test faults

soak: ## Random faults for a while (MINUTES=n, SEED=n)
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	$(CARGO) test --locked --test soak -- --minutes $(or $(MINUTES),3) --seed $(or $(SEED),1)

fuzz: ## Read what is changed at random, for longer than `make unit` does (MINUTES=n for each of five targets)
	FUZZ_MINUTES=$(or $(MINUTES),5) $(CARGO) test --locked --test fuzz -- --nocapture

providers: ## Tests against authorization servers: the documented ones, Keycloak, a certified OpenID provider
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	tests/tools/install oidc-provider >/dev/null
	tests/tools/install keycloak >/dev/null
	$(CARGO) test --locked --workspace --test live
	$(CARGO) test --locked --test providers

chart: ## Render and check the charts
	tests/chart/render
	tests/chart/render-presets

image: $(IMAGE) ## Build the image from the Dockerfile, without a container engine

$(IMAGE): Dockerfile Cargo.toml Cargo.lock LICENSE $(shell find src image tests/image -type f)
	mkdir -p $(@D)
	tests/image/build $(abspath $@)

cluster-tests: $(IMAGE) node ## Tests on a real node: Helm, kubelet, mounted Secrets, failovers (as root)
	tests/tools/install dnsmasq >/dev/null
	tests/tools/install helm-3 >/dev/null
	$(CARGO) test --locked --test cluster --test cluster_up

node:
	for tool in $(NODE); do tests/tools/install $$tool >/dev/null || exit; done

bench: ## Measure (ARGS=--quick for a short try); figures only, never a verdict
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	$(CARGO) bench --locked --bench operator -- $(ARGS)

bench-cluster: $(IMAGE) node ## Measure it as a pod: start, idle cost, failover (as root; ARGS="--runs 5")
	$(CARGO) bench --locked --profile dev --bench cluster_bench -- $(ARGS)

lint: ## Format, clippy, shell scripts, workflows
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --features fail-points --test faults -- -D warnings
	$$(tests/tools/install actionlint) -shellcheck "$$(tests/tools/install shellcheck)"
	$$(tests/tools/install shellcheck) .ci/run .ci/deny tests/tools/install image/licenses \
		tests/image/build tests/image/base-images tests/image/licenses \
		$(filter-out %.jq tests/chart/permissions,$(wildcard tests/chart/*)) tests/support/src/cluster/namespaces.sh

deny: ## Licences, bans, sources; advisories where their database can be had
	.ci/deny

generate: ## Write the files that the program generates
	$(CARGO) run --locked --quiet -- crd > target/crds.yaml
	rm -f crds/*.yaml
	awk -v RS='---\n' 'match($$0, /name: [a-z]+\.oauth-keeper\.dev/) { \
		name = substr($$0, RSTART + 6, RLENGTH - 6); sub(/\..*/, "", name); printf "%s", $$0 > "crds/" name ".yaml" }' target/crds.yaml
	tests/chart/copy
	$(CARGO) run --locked --quiet -- docs > docs/.new
	mv docs/.new docs/conditions.md
	tests/chart/readme > charts/oauth-keeper/.new
	mv charts/oauth-keeper/.new charts/oauth-keeper/README.md
	tests/chart/generate-presets
