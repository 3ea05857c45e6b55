#!/bin/sh
# Chromium as a client of the lab; what its words mean.
#
# Chromium takes roots from two places: its built-in Chrome Root Store, which cannot hold a root of the lab's, and the
# user's NSS database, which visit.sh fills with the given anchors.  With --dump-dom it prints the page, or the net::ERR
# that it would show; then it is not waited for, as now and then it does not end.  ERR_CERT_DATE_INVALID is "expired" and "not yet valid" alike.
nl='
'
here=$(dirname "$0")
exec "$here/command" --client chromium --clock faketime --env 'HOME={dir}' --env 'TMPDIR={dir}' \
    --version-command '/usr/lib/chromium/chromium --version' \
    --exit 0=output --exit 70=rejected:load \
    --until "</html>$nl|Page load failed: net::ERR_[A-Z_]+$nl" \
    --drop '^\[[0-9]+:[0-9]+:[0-9/.]*:' \
    --match 'net::ERR_CERT_DATE_INVALID=rejected:expired:ERR_CERT_DATE_INVALID' \
    --match 'net::ERR_CERT_AUTHORITY_INVALID=rejected:unknown-ca:ERR_CERT_AUTHORITY_INVALID' \
    --match 'net::ERR_CERT_COMMON_NAME_INVALID=rejected:wrong-host:ERR_CERT_COMMON_NAME_INVALID' \
    --match 'net::ERR_CERT_NAME_CONSTRAINT_VIOLATION=rejected:name-constraints:ERR_CERT_NAME_CONSTRAINT_VIOLATION' \
    --match 'net::ERR_CERT_WEAK_SIGNATURE_ALGORITHM=rejected:weak:ERR_CERT_WEAK_SIGNATURE_ALGORITHM' \
    --match 'net::ERR_CERT_WEAK_KEY=rejected:weak:ERR_CERT_WEAK_KEY' \
    --match 'net::ERR_CERT_REVOKED=rejected:revoked:ERR_CERT_REVOKED' \
    --match 'net::ERR_CERT_INVALID=rejected:ERR_CERT_INVALID' \
    --match 'net::ERR_CERT_=rejected' \
    --match 'net::ERR_SSL_SERVER_CERT_BAD_FORMAT=rejected:malformed:ERR_SSL_SERVER_CERT_BAD_FORMAT' \
    --match 'net::ERR_SSL_=failed:handshake' \
    --match 'net::ERR_CONNECTION_REFUSED=failed:connect' \
    --match 'net::ERR_=failed:handshake' \
    --match '^<html=accepted' \
    -- "$here/visit.sh" '{dir}' '{anchors}' '{authority}' '{host}' '{port}' \
    -- "$@"
