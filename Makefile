# Short names for what hack/ does; nothing is only here.
.PHONY: help demo test quick lab lab-down build

help: ## this list
	@sed -n 's/^\([a-z-]*\): *## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: ## a VIP from nothing, in under 30 s after the build
	hack/demo.sh

test: ## everything that continuous integration runs (root)
	hack/test.sh

quick: ## what needs neither root nor OVN
	hack/test.sh --quick

lab: ## bring the lab up (root)
	hack/lab.sh up

lab-down: ## take it down
	hack/lab.sh down

build: ## target/release/ovn-vip
	cargo build --locked --release
