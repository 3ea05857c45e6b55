import java.net.Socket;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertPathValidatorException.BasicReason;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Trust managers of JSSE's own: what a strict one rejects as revoked is rejected, and of everything else the plain one
 * decides.  PKIXRevocationChecker's SOFT_FAIL forgives a responder that does not answer, but no certificate that names
 * none, and stops at it.
 */
final class SoftFail extends X509ExtendedTrustManager {
    private final X509ExtendedTrustManager plain;
    private final X509ExtendedTrustManager[] strict;

    SoftFail(X509ExtendedTrustManager plain, X509ExtendedTrustManager... strict) {
        this.plain = plain;
        this.strict = strict;
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket) throws CertificateException {
        for (X509ExtendedTrustManager each : strict) {
            try {
                each.checkServerTrusted(chain, authType, socket);
            } catch (CertificateException error) {
                if (revoked(error)) {
                    throw error;
                }
            }
        }
        plain.checkServerTrusted(chain, authType, socket);
    }

    private static boolean revoked(Throwable error) {
        for (Throwable each = error; each != null; each = each.getCause()) {
            if (each instanceof CertPathValidatorException
                    && ((CertPathValidatorException) each).getReason() == BasicReason.REVOKED) {
                return true;
            }
        }
        return false;
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) {
        throw new UnsupportedOperationException();
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return plain.getAcceptedIssuers();
    }
}
