#!/bin/sh
# curl as a client of the lab; what its exit statuses and words mean.
#
# The given anchors are the only ones: --cacert replaces the built-in file, --capath the built-in folder, and
# --disable keeps every curlrc out.  60 is CURLE_PEER_FAILED_VERIFICATION, which is OpenSSL's verdict on the chain or
# curl's own on the name; its words are X509_verify_cert_error_string()'s.  Where OpenSSL's error queue begins with
# another error, as with a bad signature, curl ends with 35: then its verbose trace shows whether OpenSSL's own alert
# came straight after the Certificate message, and not after what the server signed in the handshake.
nl='
'
alert="Certificate \\(11\\):$nl(\\{ .*$nl)*\\* .*\\(OUT\\), TLS alert, "
here=$(dirname "$0")
exec "$here/command" --client curl --clock faketime --version-command 'curl --version' \
    --client-cert --cert --client-cert '{client_chain}' --client-cert --key --client-cert '{client_key}' \
    --exit 0=accepted \
    --exit 60=rejected --exit 51=rejected:wrong-host --exit 77=rejected:load --exit 35=output --exit 22=failed:http \
    --exit 7=failed:connect --exit 28=failed:timeout --exit 52=failed:http --exit 56=failed:http \
    --match '^curl: .*(certificate has expired)=rejected:expired' \
    --match '^curl: .*(certificate is not yet valid)=rejected:not-yet-valid' \
    --match '^curl: .*(unable to get (local )?issuer certificate)=rejected:unknown-ca' \
    --match '^curl: .*(self[- ]signed certificate)=rejected:unknown-ca' \
    --match '^curl: .*(unable to verify the first certificate)=rejected:unknown-ca' \
    --match '^curl: .*(certificate not trusted|issuer mismatch|key identifier mismatch|serial number mismatch)=rejected:unknown-ca' \
    --match '^curl: .*(subject name .*(does not match|matches)|no alternative certificate subject)=rejected:wrong-host' \
    --match '^curl: .*(certificate signature failure|unable to decrypt certificate)=rejected:bad-signature' \
    --match '^curl: .*(invalid CA certificate|invalid non-CA certificate|missing basic constraints)=rejected:not-a-ca' \
    --match '^curl: .*([pP]ath length|certificate chain too long)=rejected:path-length' \
    --match '^curl: .*(subtree|name constraint|name syntax)=rejected:name-constraints' \
    --match '^curl: .*(unsupported certificate purpose|certificate rejected|key usage)=rejected:wrong-usage' \
    --match '^curl: .*(too small|too weak|too short|too large)=rejected:weak' \
    --match '^curl: .*(certificate revoked)=rejected:revoked' \
    --match '^curl: .*(unable to decode issuer public key|format error in certificate|invalid or inconsistent)=rejected:malformed' \
    --match '^curl: .*(cert length mismatch|X509 V3 routines:.*:invalid certificate)=rejected:malformed' \
    --match '^curl: \(77\) .*=rejected:load' \
    --match "${alert}decrypt error .*($nl.*)*${nl}curl: .*=rejected:bad-signature" \
    --match "${alert}(bad certificate|decode error) .*($nl.*)*${nl}curl: .*(asn1|ASN1).*=rejected:malformed" \
    --match '^curl: \(35\) .*=failed:handshake' \
    -- curl --disable --silent --show-error --fail --verbose --noproxy '*' --max-time '{timeout}' --cacert '{anchors}' \
    --capath '{empty_dir}' --connect-to '::{host}:{port}' 'https://{authority}:{port}/' \
    -- "$@"
