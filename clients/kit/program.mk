# For a client that is a program out of a Debian package (`package`), driven by kit/command.c through its probe.sh.
# VERSION is the package's upstream version.
include $(dir $(lastword $(MAKEFILE_LIST)))launch.mk

all: $(out)/probe $(out)/command

$(out)/probe: $(here)probe.sh
	@mkdir -p $(out)
	install -m 755 $< $@

clean:
	rm -rf $(out)

include $(kit)packaged.mk
