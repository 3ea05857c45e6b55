# For a stack that is a Debian package (`package`): nothing is fetched, and VERSION must be the installed one.

upstream := $(shell dpkg-query --show --showformat '$${Version}' $(package) 2>/dev/null | sed 's/[-+~].*//')
ifneq ($(filter all fetch have,$(or $(MAKECMDGOALS),all)),)
ifneq ($(upstream),$(VERSION))
$(error VERSION=$(VERSION) needs that version of $(package); installed here: $(or $(upstream),none))
endif
endif

have fetch:
	@:
