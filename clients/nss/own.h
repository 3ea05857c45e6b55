/* The client's own certificates and key, for a server that asks for them. */
#ifndef OWN_H
#define OWN_H

#include "kit.h"

#include <cert.h>
#include <keyhi.h>
#include <prio.h>

#define OWN_MAX 16

struct own {
	CERTCertificate *cert, *above[OWN_MAX];
	size_t above_count;
	SECKEYPrivateKey *key;
};

/* Takes chain and key from the probe; false where NSS cannot, which PR_GetError() explains.  drop_own() in any case. */
bool load_own(struct own *own, const struct kit_probe *probe);
void drop_own(struct own *own);

/* For SSL_GetClientAuthDataHook: shows the certificate whichever CAs the server names. */
SECStatus PR_CALLBACK show_own(void *own, PRFileDesc *fd, CERTDistNames *cas, CERTCertificate **cert,
                               SECKEYPrivateKey **key);

#endif
