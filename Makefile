# VARL's commands. Each sets up what it needs first (tools/setup), which takes no time when nothing changed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

ifeq ($(strip $(ROS_DISTRO)),)
ROS_DISTRO := jazzy
endif
export ROS_DISTRO

# Launch arguments of train-sim and evaluate, such as ARGS="task:=push seed:=1".
ARGS ?=
# The run that `make evaluate` replays.
RUN ?= runs/latest
# One thread each: spinning OpenMP threads of several processes on few cores are slower than one.
export OMP_NUM_THREADS ?= 1

SETUP := python3 tools/setup
# colcon's setup files read variables that may be unset.
ENTER := set +u; source .ros/$(ROS_DISTRO)/install/setup.bash; source .ros/$(ROS_DISTRO)/venv/bin/activate; set -u

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show these commands.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: build
build: ## Set up: Python packages, ROS 2, the built workspace.
	@$(SETUP)

.PHONY: train-sim
train-sim: build ## Train an arm in simulation over the ROS 2 graph; ARGS="task:=push seed:=1" for more.
	@$(ENTER); exec varl train_sim $(ARGS)

.PHONY: evaluate
evaluate: build ## Replay a run's policy over the graph: RUN=runs/NAME.
	@$(ENTER); exec varl evaluate run:=$(RUN) $(ARGS)

.PHONY: test
test: lint ## Lint and test everything that needs no more than minutes.
	@$(ENTER); exec python -m pytest $(ARGS)

.PHONY: lint
lint: build ## ruff check, ruff format, mypy, and which room may import which.
	@$(ENTER); ruff check . && ruff format --check . && mypy && lint-imports

.PHONY: format
format: build ## Let ruff put style right.
	@$(ENTER); ruff check --fix . ; ruff format .

.PHONY: docs
docs: ## Build the documentation site: docs/_build/html/index.html.
	@python3 docs/build.py

.PHONY: bench-graph
bench-graph: build ## Measure what the graph costs: benchmarks/results/graph.json.
	@$(ENTER); exec python benchmarks/graph.py $(ARGS)

.PHONY: bench-fleet
bench-fleet: build ## Measure what a second arm brings: benchmarks/results/fleet.json.
	@$(ENTER); exec python benchmarks/fleet.py $(ARGS)

.PHONY: bench-real
bench-real: build ## Measure ros2_control's own controllers, of VARL_ROS_UNDERLAY: benchmarks/results/real_controller.json.
	@$(ENTER); exec python -m benchmarks.real_controller $(ARGS)

.PHONY: bench-gazebo
bench-gazebo: build ## Train reach in Gazebo itself, of VARL_ROS_UNDERLAY: benchmarks/results/gazebo.json.
	@$(ENTER); exec python -m benchmarks.gazebo $(ARGS)

.PHONY: bench-advisor
bench-advisor: build ## Measure what the advisor costs beside its model: benchmarks/results/advisor.json.
	@$(ENTER); exec python benchmarks/advisor.py $(ARGS)

.PHONY: bench-safety
bench-safety: build ## How near whatever is asked of each arm comes to its bounds: benchmarks/results/safety.json.
	@$(ENTER); exec python -m benchmarks.safety $(ARGS)

.PHONY: bench-tasks
bench-tasks: build ## Write what runs of `python -m benchmarks.arm_tasks --task insert` came to: benchmarks/results/arm_tasks.json.
	@$(ENTER); exec python -m benchmarks.arm_tasks $(ARGS)

.PHONY: bench-pixels
bench-pixels: build ## Measure learning from pictures: benchmarks/results/pixels.json; ARGS="tower:=FOLDER what:=costs".
	@$(ENTER); exec python -m benchmarks.pixels $(ARGS)

.PHONY: bench-sight
bench-sight: build ## Judge a model that looks on held-out scenes: benchmarks/results/sight.json; ARGS="model:=FOLDER".
	@$(ENTER); exec python -m benchmarks.sight $(ARGS)

.PHONY: bench-advisor-quality
bench-advisor-quality: build ## How good must an advisor be? benchmarks/results/advisor_quality; ARGS="task:=reach models:=early=FOLDER".
	@$(ENTER); MUJOCO_GL=egl exec python -m benchmarks.advisor_quality $(ARGS)

.PHONY: bench-speed
bench-speed: build ## Measure updates per second: benchmarks/results/speed.json.
	@$(ENTER); exec python benchmarks/speed.py $(ARGS)

.PHONY: bench-smoke
bench-smoke: build ## In minutes: does advice help? VARL must find success sooner than SAC.
	@$(ENTER); exec python -m benchmarks.advice.smoke $(ARGS)

.PHONY: clean
clean: ## Remove what set-up made for this ROS_DISTRO (not runs/).
	@rm -rf .ros/$(ROS_DISTRO)
