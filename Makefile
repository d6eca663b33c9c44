# The two commands of the README are `make demo` and `make test`; `make` alone lists the rest.
CACHE := $(or $(OAUTH_KEEPER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/oauth-keeper)
CARGO ?= cargo

.PHONY: help demo test unit api-server oldest faults soak providers chart image bench lint deny generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Show the operator at work on a real API server (ARGS=--once: without a terminal)
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	$(CARGO) build --locked --bins --examples
	$(CARGO) run --locked --quiet --example demo -- $(ARGS)

test: unit api-server oldest faults soak providers chart image ## Run all tests

unit: ## Tests that need no server
	$(CARGO) test --locked --workspace --lib --bins --test generated --test architecture --test rotation_model \
		--test oauth_http --test process --test documented

api-server: ## Tests on a real kube-apiserver and etcd (KUBERNETES=1.33: of that version)
	tests/tools/install control-plane$(addprefix -,$(KUBERNETES)) >/dev/null
	tests/tools/install helm >/dev/null
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

providers: ## Tests against authorization servers: the documented ones, Keycloak, a certified OpenID provider
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	tests/tools/install oidc-provider >/dev/null
	tests/tools/install keycloak >/dev/null
	$(CARGO) test --locked --workspace --test live
	$(CARGO) test --locked --test providers

chart: ## Render and check the chart
	tests/chart/render

image: ## Build the image from the Dockerfile, without a container engine
	tests/image/build

bench: ## Measure (ARGS=--quick for a short try); figures only, never a verdict
	tests/tools/install control-plane >/dev/null
	tests/tools/install helm >/dev/null
	$(CARGO) bench --locked --bench operator -- $(ARGS)

lint: ## Format, clippy, shell scripts, workflows
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --features fail-points --test faults -- -D warnings
	$$(tests/tools/install actionlint) -shellcheck "$$(tests/tools/install shellcheck)"
	$$(tests/tools/install shellcheck) .ci/run tests/tools/install tests/image/build tests/chart/render \
		tests/chart/readme

deny: ## Licences, bans, sources; advisories where their database can be had
	.ci/deny

generate: ## Write the files that the program generates
	$(CARGO) run --locked --quiet -- crd > crds/.new
	mv crds/.new crds/oauthcredentials.yaml
	$(CARGO) run --locked --quiet -- docs > docs/.new
	mv docs/.new docs/conditions.md
	tests/chart/readme > charts/oauth-keeper/.new
	mv charts/oauth-keeper/.new charts/oauth-keeper/README.md
