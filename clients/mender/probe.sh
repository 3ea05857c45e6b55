#!/bin/sh
# The Mender client as a client of the lab: it fetches an Artifact over https.  What its log means.
#
# The given anchors are the only ones: --trusted-certs names them, and the default file and folder of OpenSSL (and of
# Go) are empty by environment.  Mender is written in Go, but with --trusted-certs it connects with OpenSSL, and the
# number that it logs is OpenSSL's X509_V_ERR_*.  Without that, `mender install` would use Go's own TLS, which no
# libfaketime reaches.  The lab serves no Artifact: a Mender that read the answer and says so has verified the server.
here=$(dirname "$0")
exec "$here/command" --client mender --clock faketime --hosts --env LC_ALL=C --env GODEBUG=netdns=cgo \
    --env SSL_CERT_FILE=/dev/null --env 'SSL_CERT_DIR={empty_dir}' \
    --file 'mender.conf={}' \
    --version-command 'mender --version' --version-command 'dpkg-query --show libssl3' \
    --exit 1=output --drop 'time="[^"]*" ' \
    --match 'Image size is smaller than expected=accepted' \
    --match 'openssl verify rc: 10 .*=rejected:expired:10' \
    --match 'openssl verify rc: 9 .*=rejected:not-yet-valid:9' \
    --match 'openssl verify rc: 2 .*=rejected:unknown-ca:2' \
    --match 'openssl verify rc: 18 .*=rejected:unknown-ca:18' \
    --match 'openssl verify rc: 19 .*=rejected:unknown-ca:19' \
    --match 'openssl verify rc: 20 .*=rejected:unknown-ca:20' \
    --match 'openssl verify rc: 21 .*=rejected:unknown-ca:21' \
    --match 'openssl verify rc: 7 .*=rejected:bad-signature:7' \
    --match 'openssl verify rc: (79|24) .*=rejected:not-a-ca' \
    --match 'openssl verify rc: (22|25) .*=rejected:path-length' \
    --match 'openssl verify rc: (26|28|32|39) .*=rejected:wrong-usage' \
    --match 'openssl verify rc: (4[789]|5[123]) .*=rejected:name-constraints' \
    --match 'openssl verify rc: 62 .*=rejected:wrong-host:62' \
    --match 'openssl verify rc: 6[678] .*=rejected:weak' \
    --match 'openssl verify rc: .*=rejected' \
    --match 'Host validation error=rejected:wrong-host' \
    --match 'update fetch request failed: .*connection refused=failed:connect' \
    --match 'SSL errors: (asn1 encoding routines|SSL routines:.*:cert length mismatch).*=rejected:malformed' \
    --match 'update fetch request failed: .*=failed:handshake' \
    -- mender --no-syslog --data '{dir}' --config '{dir}/mender.conf' --fallback-config '{dir}/none' \
    --trusted-certs '{anchors}' install 'https://{authority}:{port}/' \
    -- "$@"
