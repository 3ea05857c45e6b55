/* From a chain and a key in PEM to what NSS's hook gives out; without a database, so everything is of this session. */
#include "own.h"

#include <certdb.h>
#include <nssb64.h>
#include <pk11pub.h>
#include <secitem.h>
#include <string.h>

/* Decodes the next PEM block with this label, and moves on behind it; false where there is none. */
static bool next_block(const char **text, const char *label, SECItem *der)
{
	char begin[64], end[64];
	const char *start, *stop;

	snprintf(begin, sizeof begin, "-----BEGIN %s-----", label);
	snprintf(end, sizeof end, "-----END %s-----", label);
	start = strstr(*text, begin);
	stop = start != NULL ? strstr(start, end) : NULL;
	if (stop == NULL)
		return false;
	start += strlen(begin);
	*text = stop;
	*der = (SECItem){siBuffer, NULL, 0};
	return NSSBase64_DecodeBuffer(NULL, der, start, (unsigned)(stop - start)) != NULL;
}

/* The module finds a private key by its public one. */
static bool load_key(struct own *own, SECItem *der)
{
	PK11SlotInfo *slot = PK11_GetInternalKeySlot();
	SECKEYPublicKey *public = CERT_ExtractPublicKey(own->cert);
	SECItem *value = public == NULL                   ? NULL
	                 : public->keyType == rsaKey ? &public->u.rsa.modulus
	                 : public->keyType == ecKey  ? &public->u.ec.publicValue
	                                             : NULL;

	if (slot != NULL && value != NULL)
		PK11_ImportDERPrivateKeyInfoAndReturnKey(slot, der, NULL, value, PR_FALSE, PR_TRUE, KU_ALL, &own->key,
		                                         NULL);
	if (public != NULL)
		SECKEY_DestroyPublicKey(public);
	if (slot != NULL)
		PK11_FreeSlot(slot);
	return own->key != NULL;
}

bool load_own(struct own *own, const struct kit_probe *probe)
{
	const char *chain = probe->client_chain, *key = probe->client_key;
	SECItem der;
	bool loaded;

	while (own->above_count < OWN_MAX && next_block(&chain, "CERTIFICATE", &der)) {
		CERTCertificate *cert = CERT_NewTempCertificate(CERT_GetDefaultCertDB(), &der, NULL, PR_FALSE, PR_TRUE);

		SECITEM_FreeItem(&der, PR_FALSE);
		if (cert == NULL)
			return false;
		if (own->cert == NULL)
			own->cert = cert;
		else
			own->above[own->above_count++] = cert; /* NSS finds it by name when it builds the chain */
	}
	if (own->cert == NULL || !next_block(&key, "PRIVATE KEY", &der))
		return false;
	loaded = load_key(own, &der);
	SECITEM_ZfreeItem(&der, PR_FALSE);
	return loaded;
}

void drop_own(struct own *own)
{
	if (own->key != NULL)
		SECKEY_DestroyPrivateKey(own->key);
	while (own->above_count > 0)
		CERT_DestroyCertificate(own->above[--own->above_count]);
	if (own->cert != NULL)
		CERT_DestroyCertificate(own->cert);
}

SECStatus PR_CALLBACK show_own(void *arg, PRFileDesc *fd, CERTDistNames *cas, CERTCertificate **cert,
                               SECKEYPrivateKey **key)
{
	const struct own *own = arg;

	(void)fd, (void)cas;
	*cert = CERT_DupCertificate(own->cert);
	*key = SECKEY_CopyPrivateKey(own->key);
	return *cert != NULL && *key != NULL ? SECSuccess : SECFailure;
}
