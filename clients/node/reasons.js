/* OpenSSL's verdicts as Node tells them, in the lab's words.
 *
 * Node has names for some of them.  The others come as OpenSSL's text, which differs a little between its versions. */
'use strict';

var CODES = {
  'expired': ['CERT_HAS_EXPIRED'],
  'not-yet-valid': ['CERT_NOT_YET_VALID'],
  'unknown-ca': [
    'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'CERT_UNTRUSTED'
  ],
  'wrong-host': ['ERR_TLS_CERT_ALTNAME_INVALID', 'HOSTNAME_MISMATCH'],
  'not-a-ca': ['INVALID_CA'],
  'path-length': ['PATH_LENGTH_EXCEEDED', 'CERT_CHAIN_TOO_LONG'],
  'wrong-usage': ['INVALID_PURPOSE', 'CERT_REJECTED'],
  'bad-signature': ['CERT_SIGNATURE_FAILURE', 'UNABLE_TO_DECRYPT_CERT_SIGNATURE'],
  'malformed': [
    'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', 'ERROR_IN_CERT_NOT_BEFORE_FIELD', 'ERROR_IN_CERT_NOT_AFTER_FIELD'
  ],
  'revoked': ['CERT_REVOKED']
};

var TEXTS = [
  ['wrong-host', /^Hostname\/IP do/],
  ['name-constraints', /subtree violation|name constraint|name syntax/],
  ['wrong-usage', /key ?usage does not include/],
  ['not-a-ca', /invalid non-CA certificate|invalid CA certificate/],
  ['unknown-ca', /subject issuer mismatch|key identifier mismatch|issuer serial number mismatch/],
  ['malformed', /certificate (policy )?extension/],
  ['weak', /key too weak|digest algorithm too weak/]
];

/* What Node calls it: where an error has no code, its message is one, or is all that there is. */
exports.code = function(error, verdict) {
  if (/^Hostname\/IP do/.test(error.message))
    return error.code || 'checkServerIdentity';
  return error.code || verdict.slice(0, 100);
};

exports.reason = function(error, text) {
  var reason, i;

  for (reason in CODES)
    if (CODES[reason].indexOf(error.code || text) >= 0)
      return reason;
  for (i = 0; i < TEXTS.length; i++)
    if (TEXTS[i][1].test(text))
      return TEXTS[i][0];
  return 'other';
};
