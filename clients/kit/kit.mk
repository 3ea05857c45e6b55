# Rules that every C client shares.  A client's Makefile sets, before it includes this file:
#   VERSION ?= ...     the version it builds when nobody names one
#   LINK    := ...     what to link with
# and may set SOURCES, INCLUDES, PREPARE (files that must exist before compiling), and FROZEN := yes for a stack whose
# clock is libfaketime: then probe starts the compiled driver under kit/frozen.c.
# The lab calls:  make -C clients/<stack> OUT=<dir> DIST=<dir> VERSION=<version>   -> $(OUT)/probe
#                 make -C clients/<stack> fetch DIST=<dir> VERSION=<version>       -> $(DIST)/<pinned files>

comma    := ,
here     := $(dir $(abspath $(firstword $(MAKEFILE_LIST))))
kit      := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
OUT      ?= $(here)build/$(VERSION)
DIST     ?= $(here)dist
out      := $(abspath $(OUT))
dist     := $(abspath $(DIST))
SOURCES  ?= $(wildcard $(here)*.c)
CC       ?= cc
CFLAGS   ?= -O2
# getaddrinfo() in a static program draws a linker warning, which since glibc 2.34 is about nothing that we use.
STATIC   := -static $(if $(shell ld --help | grep -e --no-warnings),-Wl$(comma)--no-warnings)
WARNINGS := -std=gnu11 -Wall -Wextra -Werror
kit_files := $(addprefix $(kit),loop.c wire.c net.c http.c)

.DEFAULT_GOAL := all
.PHONY: all fetch have clean
.DELETE_ON_ERROR:

all: $(out)/probe

program := $(out)/$(if $(FROZEN),driver,probe)
ifneq ($(FROZEN),)
include $(kit)launch.mk
endif

$(program): $(SOURCES) $(kit_files) $(kit)kit.h $(kit)kit.mk $(here)Makefile $(PREPARE)
	@mkdir -p $(out)
	$(CC) $(CFLAGS) $(WARNINGS) -I$(kit) $(INCLUDES) $(DEFINES) $(LDFLAGS) -o $@ $(SOURCES) $(kit_files) $(LINK)

clean:
	rm -rf $(out)

# $(call check,FILE,SHA256): FILE is in DIST and is the one we mean.
check = echo "$(2)  $(dist)/$(1)" | sha256sum --check --quiet

# $(call fetch_file,FILE,SHA256,COMMAND): COMMAND puts FILE into the current folder, unless it is there already.
fetch_file = mkdir -p $(dist) && { $(call check,$(1),$(2)) >/dev/null 2>&1 || (cd $(dist) && rm -f $(1) && $(3)); } && $(call check,$(1),$(2))
