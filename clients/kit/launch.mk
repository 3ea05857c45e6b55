# The two launchers of the kit, for clients whose clock is libfaketime: frozen, which stands before a driver, and
# command, which drives a program that knows no dialogue.  Included by kit.mk where FROZEN is set, or by the Makefile of
# a client that is no C program, which then says what $(out)/probe is.
here     ?= $(dir $(abspath $(firstword $(MAKEFILE_LIST))))
kit      ?= $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
OUT      ?= $(here)build/$(VERSION)
out      ?= $(abspath $(OUT))
CC       ?= cc
launch_files := $(addprefix $(kit),faketime.c rules.c loop.c wire.c net.c http.c)

.DEFAULT_GOAL := all
.PHONY: all fetch have clean
.DELETE_ON_ERROR:

# Dynamic, as libfaketime has no power over a static program: they run themselves to see whether it works.
$(out)/frozen $(out)/command: $(out)/%: $(kit)%.c $(launch_files) $(kit)kit.h $(kit)faketime.h $(kit)rules.h $(kit)launch.mk
	@mkdir -p $(out)
	$(CC) -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -I$(kit) -o $@ $< $(launch_files) -l:libjansson.a -pthread

ifneq ($(FROZEN),)
$(out)/probe: $(out)/driver $(out)/frozen
	printf '#!/bin/sh\nhere=$$(dirname "$$0")\nexec "$$here/frozen" -- "$$here/driver" "$$@"\n' >$@
	chmod +x $@
endif
