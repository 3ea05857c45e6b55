# For a stack that is a Debian package (`package`): nothing is fetched, and VERSION must be the installed one where it
# is built; another suite's version is built in that suite's image.

upstream := $(shell dpkg-query --show --showformat '$${Version}' $(package) 2>/dev/null | sed 's/^[0-9]*://; s/[-+~].*//')
ifneq ($(filter all,$(or $(MAKECMDGOALS),all)),)
ifneq ($(upstream),$(VERSION))
$(error VERSION=$(VERSION) needs that version of $(package); installed here: $(or $(upstream),none))
endif
endif

have fetch:
	@:
