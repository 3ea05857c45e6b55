/* The client's own certificates and key, for a server that asks for them. */
#ifndef OWN_H
#define OWN_H

#include "kit.h"

#include <bearssl.h>

#define OWN_MAX 16 /* certificates */

struct own {
	br_x509_certificate chain[OWN_MAX];
	size_t count;
	br_skey_decoder_context key; /* the private key lies inside it */
};

/* Takes chain and key from the probe; false, and said so, where BearSSL cannot.  drop_own() in either case. */
bool load_own(struct own *own, const struct kit_probe *probe, struct kit_report *report);
void show_own(const struct own *own, br_ssl_client_context *client);
void drop_own(struct own *own);

#endif
