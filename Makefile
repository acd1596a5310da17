# The front door: `make run` does the whole job, `make test` checks everything, `make` alone prints help.

# Set on make's command line, as in `make run EPOCHS=5`; environment variables with these names are ignored.
MODEL :=   ## network, such as mobilenet_thin; of make serve and make predict: a model
PICTURES := ## of make predict: a folder, a zip archive or a bucket
WIDTH :=   ## width of the network; 1 is the published one
SIZE :=    ## side of the training input in pixels
EPOCHS :=  ## passes over the training pictures
BATCH :=   ## pictures in one training step
LR :=      ## highest learning rate
SEED :=    ## seed of the sample data, the weights and the augmentation
DATA :=    ## labelled data: a folder, file or address, or coco2017 (default: a drawn sample)
SKELETON := ## keypoints and limbs: a name, or a file (default: what the data labels)
CATEGORY := ## the category to train, if several in the data have keypoints
OUT :=     ## folder for all output
RUNNER :=  ## where the steps run: in-place (default), or docker (needs make images)
REGISTRY := ## of make images: registry to tag them for, such as europe-docker.pkg.dev/me/pose
PUSH :=    ## of make images: 1 pushes them to REGISTRY
PLATFORM := ## of make images: such as linux/amd64; several with commas need PUSH=1
VARIANT := ## of make images: cpu, gpu or serve builds only that one
RUN :=     ## a run on a cluster, as listed by make runs
STEP :=    ## one step of it
OVER :=    ## of make sweep: parameters to vary, such as "stages=2,3 sigma=5..9"
TRIALS :=  ## of make sweep: number of runs
SETTINGS := ## settings of the cluster: pvc, small, gpu, machines, gcs, s3, or a file
CRON :=    ## of make schedule: minute hour day month weekday, such as "0 3 * * *"
SUMMARY := ## of make submit: file that gets a summary of the run, as Markdown
VERDICT := ## of make submit: file that gets the verdict, such as accepted or rejected
NAMESPACE := ## of a cluster: kubeflow (default), or yours in a Kubeflow with profiles
OVERLAY := ## folder of manifests/overlays: local, gpu, gcs, s3 or kueue
ARGS :=    ## other flags of the command; for make images flags of docker build
PYTHON :=  ## Python 3.11, 3.12 or 3.13 for .venv; by default the newest found

python := .venv/bin/python
site := NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build
# Each file's tests run in one worker, which makes what they share once; tests/conftest.py sorts the files.
by_file := --dist loadfile --no-loadscope-reorder
on_all_cores := -n auto $(by_file)
for_images := --excludes requirements/images-without.txt -c requirements/dev.txt
for_server := --excludes requirements/serve-without.txt -c requirements/dev.txt

.DEFAULT_GOAL := help
.PHONY: help run sweep setup setup-dev sample compile images tensorboard serve test test-fast lint docs format bench lock clean submit retrain predict schedule unschedule runs cancel logs fetch-model prune manifests deploy undeploy test-cluster

##@ Use

run: setup  ## run the whole pipeline on this machine, from the data to the exported model
	@$(python) -m pipelines.local \
	  $${RUNNER:+--runner "$$RUNNER"} $${DATA:+--data "$$DATA"} $${OUT:+--out "$$OUT"} $${SEED:+--seed "$$SEED"} \
	  $${MODEL:+--model "$$MODEL"} $${WIDTH:+--width "$$WIDTH"} $${SIZE:+--size "$$SIZE"} \
	  $${EPOCHS:+--epochs "$$EPOCHS"} $${BATCH:+--batch-size "$$BATCH"} $${LR:+--learning-rate "$$LR"} \
	  $${SKELETON:+--skeleton "$$SKELETON"} $${CATEGORY:+--category "$$CATEGORY"} $(ARGS)

setup:  ## make .venv from the hashed lock, if it is missing or the lock changed
	@$(call install,runtime)

sample: setup  ## only draw the sample data, into OUT/sample
	@$(python) -m openpose.sample --out "$${OUT:-out}/sample" $${SEED:+--seed "$$SEED"}

compile: setup  ## only compile the pipeline, into build/training.yaml
	@$(python) -m pipelines.training $${SETTINGS:+--settings "$$SETTINGS"} $(ARGS)

images: setup  ## build the images of the steps; build/images.json lists them
	@$(python) -m pipelines.images $${VARIANT:+--variant "$$VARIANT"} $${REGISTRY:+--registry "$$REGISTRY"} \
	  $(if $(filter 1,$(PUSH)),--push) $${PLATFORM:+--platform "$$PLATFORM"} $(ARGS)

sweep: setup  ## search for better parameters: runs with other values of OVER
	@$(python) -m pipelines.sweep $(foreach each,$(OVER),--over "$(each)") $${TRIALS:+--trials "$$TRIALS"} \
	  $${OUT:+--out "$$OUT"} $(asked) $(ARGS)

tensorboard: setup  ## show the training curves of OUT in a browser
	@$(python) -c "import openpose, tensorboard.main as t; t.run_main()" --logdir "$${OUT:-out}"

serve: setup-dev  ## serve a model at http://localhost:8080/, with a page to try it; MODEL=graph.pb
	@$(python) -m openpose.serving $${MODEL:+--model "$$MODEL"} $(ARGS)

##@ On a cluster

submit: setup  ## run the pipeline on Kubeflow Pipelines and follow it to the end
	@$(python) -m pipelines.submit $${SUMMARY:+--summary "$$SUMMARY"} $${VERDICT:+--verdict "$$VERDICT"} \
	  $(asked) $(ARGS)

retrain: override ARGS += --param only_new=true
retrain: submit  ## like submit, but end at once when nothing is new since the champion

predict: setup  ## find people in PICTURES on a cluster, with MODEL or the newest accepted model
	@$(python) -m pipelines.submit --dag predicting --param "pictures=$${PICTURES:?give PICTURES=, a folder, a zip archive or gs://…}" \
	  $${MODEL:+--param "model=$$MODEL"} $(namespace) $${SETTINGS:+--settings "$$SETTINGS"} $(ARGS)

schedule: setup  ## run the pipeline at the times of CRON; replaces an earlier schedule
	@$(python) -m pipelines.schedule create "$${CRON:?give CRON=, such as \"0 3 * * *\" for 3:00 every day}" $(asked) $(ARGS)

unschedule: setup  ## remove the schedule
	@$(python) -m pipelines.schedule remove $(namespace) $(ARGS)

runs: setup  ## list the newest runs
	@$(python) -m pipelines.runs $(namespace) list

cancel: setup  ## stop the run RUN; finished work is kept
	@$(python) -m pipelines.runs $(namespace) cancel "$${RUN:?give RUN=, see make runs}"

logs: setup  ## print the logs of the run RUN, or only of STEP
	@$(python) -m pipelines.runs $(namespace) logs "$${RUN:?give RUN=, see make runs}" $${STEP:+"$$STEP"}

fetch-model: setup  ## bring the champion's files, or those of the run RUN, into OUT/models
	@$(python) -m pipelines.fetch $${RUN:+--run "$$RUN"} $${OUT:+--out "$$OUT"} $${SETTINGS:+--settings "$$SETTINGS"} \
	  $(namespace) $(ARGS)

prune: setup  ## list results that nothing needs, and the disk use; ARGS=--delete removes them
	@$(python) -m pipelines.prune $${SETTINGS:+--settings "$$SETTINGS"} $(namespace) $(ARGS)

manifests: setup  ## render the Kubernetes objects that the pipeline needs, into build/manifests.yaml
	@$(python) -m pipelines.manifests $${OVERLAY:+--overlay "$$OVERLAY"} $(namespace)

deploy: manifests  ## create these objects on the cluster of kubectl's context
	kubectl apply --server-side -f build/manifests.yaml

undeploy: manifests  ## remove these objects, including the volume with all its data
	kubectl delete --ignore-not-found -f build/manifests.yaml

##@ Develop

test: lint  ## check everything: rules, format, types, all tests
	$(python) -m pytest $(on_all_cores)

test-fast: setup-dev  ## run only the tests that take less than a second each
	$(python) -m pytest $(on_all_cores) -m "not slow"

test-cluster: setup-dev  ## run the tests that need a cluster, on that of KF_PIPELINES_ENDPOINT
	$(python) -m pytest -v tests/cluster -n 3 $(by_file)  # runs mostly wait for pods, so three files go on at once

lint: setup-dev  ## check rules, format, types and the documents' links
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(site)

docs: setup-dev  ## build the documents as a site, into build/docs
	$(site)
	@echo "open build/docs/index.html"

format: setup-dev  ## fix rules and format where ruff can
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

bench: setup-dev  ## run all benchmarks; fail at the end if one missed its bound
	@rm -rf build/bench && mkdir -p build/bench
	@for file in benchmarks/[!_]*.py; do \
	  name=$$(basename "$$file" .py); echo "== $$name"; \
	  { $(python) -m "benchmarks.$$name" || echo "$$name" >> build/bench/failed; } | tee "build/bench/$$name.txt"; \
	done
	@echo "== all"; for log in build/bench/*.txt; do tail -n 1 "$$log"; done
	@test ! -e build/bench/failed || { echo "error: failed:" $$(cat build/bench/failed) >&2; exit 1; }

# uv only makes the locks, so it has its own environment and is in none of the locks.
lock: setup  ## remake requirements/*.txt from pyproject.toml; ARGS=--upgrade for the newest
	@test -x .venv-lock/bin/uv || { $(python) -m venv .venv-lock && .venv-lock/bin/python -m pip install -q --disable-pip-version-check uv; }
	@$(call lock,pyproject.toml,runtime)
	@$(call lock,pyproject.toml --extra dev -c requirements/runtime.txt,dev)
	@echo setuptools | $(call lock,- -c requirements/runtime.txt,build)
	@$(call lock,pyproject.toml --extra cpu --extra mlflow $(for_images) --overrides requirements/cpu-instead.txt,cpu)
	@$(call lock,pyproject.toml --extra gpu --extra mlflow $(for_images),gpu)
	@$(call lock,pyproject.toml --extra cpu --extra serve $(for_server) --overrides requirements/cpu-instead.txt,serve)

clean:  ## remove .venv, build and caches; keep OUT
	rm -rf .venv .venv-lock build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-dev:
	@$(call install,dev)

help:
	@awk -F ' *## *' ' \
	  function line(name) { return sprintf("  %-17s %s\n", name, $$2) } \
	  /^##@/ { printf "%s%s\n", part++ ? "\n" : "", substr($$0, 5) } \
	  /^[a-z-]+:.*##/ { split($$0, name, ":"); printf "%s", line("make " name[1]) } \
	  /^[A-Z]+ :=.*##/ { split($$0, name, " "); variables = variables line(name[1]) } \
	  END { printf "\nVariables, as in: make run EPOCHS=5 OUT=/tmp/run\n%s", variables }' Makefile

namespace = $${NAMESPACE:+--namespace "$$NAMESPACE"}

# The parameters of a run on a cluster.
define asked
$(namespace) $${SETTINGS:+--settings "$$SETTINGS"} $${DATA:+--param "source=$$DATA"} $${SEED:+--param "seed=$$SEED"} \
  $${MODEL:+--param "model=$$MODEL"} $${WIDTH:+--param "width=$$WIDTH"} $${SIZE:+--param "size=$$SIZE"} \
  $${EPOCHS:+--param "epochs=$$EPOCHS"} $${BATCH:+--param "batch_size=$$BATCH"} $${LR:+--param "learning_rate=$$LR"} \
  $${SKELETON:+--param "skeleton=$$SKELETON"} $${CATEGORY:+--param "category=$$CATEGORY"}
endef

# $(call install,runtime): makes .venv from requirements/runtime.txt, with PYTHON or the first Python that fits.
install = requirements/install.sh $(1) "$(or $(MAKECMDGOALS),setup)"

# $(call lock,<source>,<name>): versions and hashes of everything that the source needs, for all platforms and for
# Python 3.11 and later; of each package one version, so that every Python computes with the same.
define lock
.venv-lock/bin/uv pip compile $(1) --generate-hashes --universal --fork-strategy fewest --python-version 3.11 \
  --custom-compile-command "make lock" --quiet $(ARGS) -o requirements/$(2).txt
endef
