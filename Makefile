# Mneme's short commands. Meson builds; `make help` lists what there is.
#
# demo, check and install install missing Debian packages first (packaging/debian-packages.txt).

BUILD = build
prefix = /usr/local
DESTDIR =
seconds = 60

# Relative prefixes count from here; meson wants them absolute.
absolute_prefix = $$(case "$(prefix)" in /*) printf %s "$(prefix)";; \
	*) printf %s "$$PWD/$(prefix)";; esac)

.PHONY: build demo check crash bench fuzz install clean format help packages

build:
	@[ -f "$(BUILD)/build.ninja" ] || meson setup "$(BUILD)" -Dtests=disabled
	@ninja -C "$(BUILD)"

packages:
	@packaging/install-packages build

# The recipes below call make again, so that nothing is built before its packages are there.
demo: packages
	@$(MAKE) --no-print-directory build >"$(BUILD).log" 2>&1 || { cat "$(BUILD).log"; exit 1; }
	@PATH="$$PWD/$(BUILD)/cli:$$PATH" examples/demo

check:
	@packaging/install-packages build check
	@tools/check

# A million operations beside the model; then cuts the power of the simulated disk at random until
# stopped, or for `seconds=N`.
crash:
	@packaging/install-packages build check
	@[ -f build-crash/build.ninja ] || \
		meson setup build-crash -Dtests=enabled -Dbuildtype=debugoptimized
	@ninja -C build-crash tests/crash/crash_sim tests/model/model
	@echo 'model: 1000000 random operations of a store beside a naive model of it'
	@MNEME_MODEL_STEPS=1000000 build-crash/tests/model/model >build-crash/model.log 2>&1 || \
		{ tail -n 40 build-crash/model.log; exit 1; }
	@echo 'model: they agree; the seeds are in build-crash/model.log'
	@echo 'crash simulator:'
	@build-crash/tests/crash/crash_sim --seconds $(if $(filter file,$(origin seconds)),0,$(seconds))

bench:
	@packaging/install-packages build check bench
	@command -v npm >/dev/null || packaging/install-packages npm
	@[ -f build-bench/build.ninja ] || meson setup build-bench -Dbench=true -Dtests=disabled
	@ninja -C build-bench
	@bench/run build-bench >build-bench/results.jsonl
	@echo 'the same for machines: build-bench/results.jsonl'

# Runs every fuzz target for `seconds=N`, or one of them with `target=NAME`.
fuzz:
	@packaging/install-packages build check
	@tools/fuzz --seconds $(seconds) $(target)

install: packages
	@if [ -f "$(BUILD)/build.ninja" ]; then \
		meson configure "$(BUILD)" --prefix "$(absolute_prefix)" --libdir lib; \
	else \
		meson setup "$(BUILD)" -Dtests=disabled --prefix "$(absolute_prefix)" --libdir lib; \
	fi
	@ninja -C "$(BUILD)"
	@DESTDIR="$(DESTDIR)" meson install -C "$(BUILD)" --no-rebuild
	@# The loader finds a new library in a system folder only after ldconfig.
	@case "$(DESTDIR)$(prefix)" in /usr|/usr/local) \
		[ "$$(id -u)" -ne 0 ] || ldconfig ;; esac

clean:
	rm -rf build build.log build-*

format:
	@tools/format

help:
	@echo 'make demo      real vectors written, the writer killed, all that was acknowledged back, questions, drift'
	@echo 'make check     every test; ends with "N passed, N failed"'
	@echo 'make build     the library and the command, in $(BUILD)/ (needs the packages)'
	@echo 'make install   prefix=$(prefix) DESTDIR=$(DESTDIR)'
	@echo 'make crash     10^6 operations beside a model, then the crash simulator until stopped; seconds=N'
	@echo 'make fuzz      every fuzz target; seconds=$(seconds) target=NAME'
	@echo 'make bench     measured against RocksDB, SQLite, LMDB, Redis, faiss and others'
	@echo 'make format    lays out all C code with clang-format'
	@echo 'make clean     removes what was built'
