/* From a chain and a key in PEM to what br_ssl_client_set_single_rsa() and _ec() take. */
#include "own.h"

#include <stdlib.h>
#include <string.h>

static void append(void *arg, const void *data, size_t len)
{
	br_x509_certificate *one = arg;

	one->data = realloc(one->data, one->data_len + len);
	memcpy(one->data + one->data_len, data, len);
	one->data_len += len;
}

static void push_key(void *key, const void *data, size_t len)
{
	br_skey_decoder_push(key, data, len);
}

/* Reads every object in the text: certificates into the chain, what calls itself a private key into the key. */
static bool read_pem(struct own *own, const char *text)
{
	br_pem_decoder_context pem;
	size_t left = strlen(text) + 1; /* with a line end in place of the zero: the decoder wants one */

	br_pem_decoder_init(&pem);
	while (left > 0) {
		size_t used = left > 1 ? br_pem_decoder_push(&pem, text, left - 1) : br_pem_decoder_push(&pem, "\n", 1);

		text += used;
		left -= used;
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			if (strstr(br_pem_decoder_name(&pem), "PRIVATE KEY") != NULL)
				br_pem_decoder_setdest(&pem, push_key, &own->key);
			else if (own->count < OWN_MAX)
				br_pem_decoder_setdest(&pem, append, &own->chain[own->count++]);
			else
				return false;
			break;
		case BR_PEM_ERROR:
			return false;
		}
	}
	return true;
}

bool load_own(struct own *own, const struct kit_probe *probe, struct kit_report *report)
{
	char code[16];

	memset(own, 0, sizeof *own);
	br_skey_decoder_init(&own->key);
	if (read_pem(own, probe->client_chain) && read_pem(own, probe->client_key) && own->count > 0 &&
	    br_skey_decoder_last_error(&own->key) == 0)
		return true;
	snprintf(code, sizeof code, "%d", br_skey_decoder_last_error(&own->key));
	kit_fail(report, KIT_LOAD, code, "the client's own certificate or key cannot be read");
	return false;
}

/* BearSSL shows this one chain to whoever asks, whichever CAs the server names. */
void show_own(const struct own *own, br_ssl_client_context *client)
{
	if (br_skey_decoder_key_type(&own->key) == BR_KEYTYPE_RSA)
		br_ssl_client_set_single_rsa(client, own->chain, own->count, br_skey_decoder_get_rsa(&own->key),
		                             br_rsa_pkcs1_sign_get_default());
	else /* the issuer's type of key matters to static ECDH only, which is not among the usages */
		br_ssl_client_set_single_ec(client, own->chain, own->count, br_skey_decoder_get_ec(&own->key),
		                            BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, br_ec_get_default(),
		                            br_ecdsa_sign_asn1_get_default());
}

void drop_own(struct own *own)
{
	while (own->count > 0)
		free(own->chain[--own->count].data);
}
