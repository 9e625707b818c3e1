# Everything a person or a CI job does with this repository. Each target installs the Debian
# packages it lacks, and says so.

BUILD_PACKAGES := gcc libarchive-dev libc6-dev make pkg-config
GUEST_PACKAGES := busybox-static
TEST_PACKAGES := acpica-tools e2fsprogs gcc libzydis-dev nasm python3 qemu-utils
CHECK_PACKAGES := git python3
CLIENT_PACKAGES := grub-common grub-pc-bin mtools ovmf python3 qemu-system-x86 xorriso
LONG_PACKAGES := debian-installer-12-netboot-amd64 linux-source-6.1 memtest86+
BENCH_PACKAGES := bzip2 gcc git gzip mawk openssl python3 qemu-system-x86 sqlite3 xz-utils

APUS := .build/release/apus
PREFIX := /usr/local

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
# Of the tests that pass, only the number is worth a line.
SHOW_FAILURES := awk '!/^◇|^✔ (Test (case )?[^r]|Suite)/ { print; fflush() }'

.PHONY: help run build test test-long check bench install clean
.DEFAULT_GOAL := help

help:
	@echo 'make run        build, fetch a kernel if there is none, and boot it'
	@echo 'make build      leaves $(APUS)'
	@echo 'make test       unit, conformance and boot tests (some minutes, most of them compiling)'
	@echo 'make test-long  every guest under QEMU, and KVM selftests of Linux (longer)'
	@echo 'make check      formatting, layering, sizes and links (seconds)'
	@echo 'make bench      this engine against QEMU and the host'
	@echo 'make install    copies apus to PREFIX/bin, its library to PREFIX/lib (now $(PREFIX))'
	@echo 'make clean      removes what was built'

run: build
	@tools/install-packages $(GUEST_PACKAGES)
	@tools/fetch-kernel
	@$(APUS) run

build:
	@tools/install-packages $(BUILD_PACKAGES)
	swift build -c release

test: build
	@tools/install-packages $(TEST_PACKAGES) $(GUEST_PACKAGES) $(CLIENT_PACKAGES)
	@tools/fetch-kernel cloud 686 686-pae
	swift test -c release 2>&1 | $(SHOW_FAILURES)
	Tests/Preload/run
	Tests/Boot/run
	Tests/Clients/run quick

test-long: build
	@tools/install-packages $(TEST_PACKAGES) $(GUEST_PACKAGES) $(CLIENT_PACKAGES) $(LONG_PACKAGES)
	@tools/fetch-kernel cloud 686 686-pae
	Tests/Clients/run
	Tests/Selftests/run

check:
	@tools/install-packages $(CHECK_PACKAGES)
	tools/check

bench: build
	@tools/install-packages $(GUEST_PACKAGES) $(BENCH_PACKAGES)
	@tools/fetch-kernel
	bench/run

install: build
	install -D -m 755 $(APUS) $(DESTDIR)$(PREFIX)/bin/apus
	install -D -m 644 .build/release/libapus-kvm.so $(DESTDIR)$(PREFIX)/lib/libapus-kvm.so

clean:
	rm -rf .build
