#!/bin/sh
# git as a client of the lab; what its words mean.
#
# The given anchors are the only ones: GIT_SSL_CAINFO and GIT_SSL_CAPATH (an empty folder) replace libcurl's built-in
# file and folder; there is no configuration but ours.  The lab serves no repository: a git that says so has verified
# the server and read its answer.  git ends with 128 whatever the matter; libcurl's words tell the name from the chain,
# and what is wrong with the chain they do not tell before libcurl 8.
here=$(dirname "$0")

# Which of two names Debian gives to a library's package, before and after its change to 64-bit time.
package() {
    dpkg-query --show "$1" >/dev/null 2>&1 && echo "$1" || echo "$2"
}
exec "$here/command" --client git --clock faketime --hosts --env LC_ALL=C --env 'HOME={dir}' \
    --env GIT_CONFIG_NOSYSTEM=1 --env GIT_TERMINAL_PROMPT=0 --env 'no_proxy=*' \
    --env 'GIT_SSL_CAINFO={anchors}' --env 'GIT_SSL_CAPATH={empty_dir}' \
    --version-command 'git --version' --version-command "dpkg-query --show $(package libcurl3t64-gnutls libcurl3-gnutls)" \
    --version-command "dpkg-query --show $(package libgnutls30t64 libgnutls30)" \
    --exit 128=output \
    --match 'not valid: is this a git repository\?=accepted' \
    --match '^fatal: unable to access .*(subject name .*does not match|no alternative certificate subject)=rejected:wrong-host' \
    --match '^fatal: unable to access .*verification failed: certificate has expired=rejected:expired' \
    --match '^fatal: unable to access .*verification failed: certificate signer not trusted=rejected:unknown-ca' \
    --match '^fatal: unable to access .*verification failed: certificate uses insecure algorithm=rejected:weak' \
    --match '^fatal: unable to access .*server (certificate )?verification failed=rejected' \
    --match '^fatal: unable to access .*server cert verify failed=rejected:malformed' \
    --match '^fatal: unable to access .*handshake.* failed: (ASN1 parser|Error in the certificate|Duplicate extension)=rejected:malformed' \
    --match '^fatal: unable to access .*Problem with the SSL CA cert=rejected:load' \
    --match '^fatal: unable to access .*error (setting|reading) .*=rejected:load' \
    --match '^fatal: repository .* not found|The requested URL returned error=failed:http' \
    --match '^fatal: unable to access .*Failed to connect=failed:connect' \
    --match '^fatal: unable to access .*=failed:handshake' \
    -- git ls-remote 'https://{authority}:{port}/' \
    -- "$@"
