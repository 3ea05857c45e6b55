/* A server that is known by its public key and by nothing else: no chain, no name, no date. */
#ifndef PIN_H
#define PIN_H

#include "kit.h"

#include <bearssl.h>

struct pin {
	br_x509_knownkey_context known;
	unsigned char der[2048]; /* the SubjectPublicKeyInfo; the key lies inside it */
	size_t len;
	bool whole;
};

/* Takes the key from the probe's pins; false, and said so, where there is none that BearSSL can hold. */
bool load_pin(struct pin *pin, const struct kit_probe *probe, struct kit_report *report);

#endif
