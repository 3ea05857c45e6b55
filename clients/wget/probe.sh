#!/bin/sh
# GNU Wget as a client of the lab; what its exit statuses and words mean.
#
# The given anchors are the only ones: with --ca-directory, here an empty one, Wget does not turn to the system's
# store; --no-config keeps every wgetrc out.  5 is Wget's "SSL verification failure", which other failures of TLS share:
# so its words decide.  They come from GnuTLS' status and, after it, from Wget's own look at dates and name.  What it
# only calls "not trusted" it does not explain: a bad signature is one such case.
here=$(dirname "$0")

# Which of two names Debian gives to a library's package, before and after its change to 64-bit time.
package() {
    dpkg-query --show "$1" >/dev/null 2>&1 && echo "$1" || echo "$2"
}
exec "$here/command" --client wget --clock faketime --hosts --env LC_ALL=C \
    --version-command 'wget --version' --version-command "dpkg-query --show $(package libgnutls30t64 libgnutls30)" \
    --client-cert --certificate='{client_chain}' --client-cert --private-key='{client_key}' \
    --exit 0=accepted --exit 5=output --exit 4=output --exit 8=failed:http \
    --match "^ERROR: The certificate of .* has expired=rejected:expired" \
    --match "^ERROR: The certificate of .* is not yet activated=rejected:not-yet-valid" \
    --match "^ERROR: The certificate of .* doesn't have a known issuer=rejected:unknown-ca" \
    --match "^ERROR: The certificate of .* has been revoked=rejected:revoked" \
    --match '^The certificate has not yet been activated=rejected:not-yet-valid' \
    --match '^The certificate has expired=rejected:expired' \
    --match "^The certificate's owner does not match hostname=rejected:wrong-host" \
    --match '^Error parsing X509 certificate|^Error initializing X509 certificate=rejected:malformed' \
    --match '^ERROR: The certificate of .* is not trusted=rejected' \
    --match '^ERROR: No certificate presented by=rejected:malformed' \
    --match '^GnuTLS: (ASN1 parser|Error in the certificate|Duplicate extension)=rejected:malformed' \
    --match '^Unable to establish SSL connection=failed:handshake' \
    --match '^GnuTLS: .*=failed:handshake' \
    --match '^failed: |Connection refused|Network is unreachable=failed:connect' \
    --match 'timed out|Connection reset|Read error|Giving up=failed:http' \
    -- wget --no-config --no-hsts --no-proxy --no-verbose --tries=1 --output-document=- --ca-certificate='{anchors}' \
    --ca-directory='{empty_dir}' 'https://{authority}:{port}/' \
    -- "$@"
