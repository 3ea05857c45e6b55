/* From a public key in PEM to a br_x509_knownkey_context.  BearSSL 0.6 decodes public keys inside certificates only, so
 * that the few lines of DER around a bare one are read here. */
#include "pin.h"

#include <jansson.h>
#include <string.h>

enum { INTEGER = 0x02, BIT_STRING = 0x03, OID = 0x06, SEQUENCE = 0x30 };

struct der {
	unsigned char *data;
	size_t len;
};

/* Takes the next element from `from`: it must have this tag, and a definite length of at most two bytes. */
static bool take(struct der *from, unsigned char tag, struct der *content)
{
	size_t head = 2, len;

	if (from->len < 2 || from->data[0] != tag)
		return false;
	len = from->data[1];
	if (len > 0x82 || len == 0x80)
		return false;
	if (len > 0x80) {
		head += len - 0x80;
		if (from->len < head)
			return false;
		len = head == 3 ? from->data[2] : (size_t)from->data[2] << 8 | from->data[3];
	}
	if (from->len - head < len)
		return false;
	*content = (struct der){from->data + head, len};
	from->data += head + len;
	from->len -= head + len;
	return true;
}

static bool is(const struct der *oid, const char *encoded, size_t len)
{
	return oid->len == len && memcmp(oid->data, encoded, len) == 0;
}

#define IS(oid, encoded) is(oid, encoded, sizeof(encoded) - 1)

static int curve_of(const struct der *oid)
{
	return IS(oid, "\x2a\x86\x48\xce\x3d\x03\x01\x07") ? BR_EC_secp256r1
	       : IS(oid, "\x2b\x81\x04\x00\x22")           ? BR_EC_secp384r1
	       : IS(oid, "\x2b\x81\x04\x00\x23")           ? BR_EC_secp521r1
	                                                   : 0;
}

static bool rsa_key(struct der bits, br_rsa_public_key *key)
{
	struct der key_fields, n, e;

	if (!take(&bits, SEQUENCE, &key_fields) || !take(&key_fields, INTEGER, &n) || !take(&key_fields, INTEGER, &e))
		return false;
	*key = (br_rsa_public_key){n.data, n.len, e.data, e.len};
	return true;
}

static bool decode(struct pin *pin)
{
	const unsigned usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
	struct der all = {pin->der, pin->len}, info, algorithm, oid, curve, bits;
	br_rsa_public_key rsa;

	if (!take(&all, SEQUENCE, &info) || !take(&info, SEQUENCE, &algorithm) || !take(&algorithm, OID, &oid) ||
	    !take(&info, BIT_STRING, &bits) || bits.len < 2 || bits.data[0] != 0)
		return false;
	bits.data++;
	bits.len--;
	if (IS(&oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01") && rsa_key(bits, &rsa)) {
		br_x509_knownkey_init_rsa(&pin->known, &rsa, usages);
		return true;
	}
	if (IS(&oid, "\x2a\x86\x48\xce\x3d\x02\x01") && take(&algorithm, OID, &curve) && curve_of(&curve) != 0) {
		br_x509_knownkey_init_ec(&pin->known, &(br_ec_public_key){curve_of(&curve), bits.data, bits.len}, usages);
		return true;
	}
	return false;
}

static void append(void *arg, const void *data, size_t len)
{
	struct pin *pin = arg;

	pin->whole = pin->whole && len <= sizeof pin->der - pin->len;
	if (!pin->whole)
		return;
	memcpy(pin->der + pin->len, data, len);
	pin->len += len;
}

static bool read_pem(struct pin *pin, const char *text)
{
	br_pem_decoder_context pem;
	size_t left = strlen(text) + 1; /* with a line end in place of the zero: the decoder wants one */

	br_pem_decoder_init(&pem);
	pin->len = 0;
	pin->whole = true;
	while (left > 0) {
		size_t used = left > 1 ? br_pem_decoder_push(&pem, text, left - 1) : br_pem_decoder_push(&pem, "\n", 1);

		text += used;
		left -= used;
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			if (strcmp(br_pem_decoder_name(&pem), "PUBLIC KEY") != 0)
				return false;
			br_pem_decoder_setdest(&pem, append, pin);
			break;
		case BR_PEM_END_OBJ:
			return pin->whole;
		case BR_PEM_ERROR:
			return false;
		}
	}
	return false;
}

bool load_pin(struct pin *pin, const struct kit_probe *probe, struct kit_report *report)
{
	const json_t *pins = json_object_get(probe->json, "pins");
	const char *text = json_string_value(json_array_get(pins, 0));

	if (text == NULL)
		kit_unsupported(report, KIT_LOAD, "the probe has no pins, and this column knows a server by its key only");
	else if (json_array_size(pins) > 1)
		kit_unsupported(report, KIT_LOAD, "br_x509_knownkey holds one key, and the probe has several pins");
	else if (strstr(text, "-----BEGIN") == NULL)
		kit_unsupported(report, KIT_LOAD, "br_x509_knownkey holds a public key: a digest will not do");
	else if (!read_pem(pin, text) || !decode(pin))
		kit_unsupported(report, KIT_LOAD, "the pin is no RSA or NIST EC public key in PEM");
	else
		return true;
	return false;
}
