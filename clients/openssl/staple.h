/* Option status-request: asks for a stapled OCSP response, and reads it as OpenSSL's manual says, with
 * OCSP_basic_verify().  OpenSSL itself asks for none.  Who staples nothing is taken as it is. */
#ifndef STAPLE_H
#define STAPLE_H

#include "kit.h"

#include <openssl/ssl.h>

/* The lab's time is for the signer's certificate, which is verified with the context's store. */
void ask_for_staple(SSL_CTX *ctx, X509_VERIFY_PARAM *param, struct kit_report *report);

#endif
