import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;

/** The client's own certificates and key.  The JDK's default key manager decides whether a server is shown them. */
final class Own {
    private static final char[] PASSWORD = "lab".toCharArray(); // of a store that never leaves this process

    private Own() {
    }

    static KeyStore emptyStore() throws GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        try {
            store.load(null, null);
        } catch (IOException error) {
            throw new GeneralSecurityException(error);
        }
        return store;
    }

    /** Null, as JSSE wants it, where the client has nothing to show. */
    static KeyManager[] keyManagers(Request request) throws GeneralSecurityException {
        if (request.clientChain == null) {
            return null;
        }
        byte[] pem = request.clientChain.getBytes(StandardCharsets.ISO_8859_1);
        Certificate[] chain = CertificateFactory.getInstance("X.509")
                .generateCertificates(new ByteArrayInputStream(pem)).toArray(new Certificate[0]);
        String base64 = request.clientKey.replaceAll("-----[A-Z ]+-----", "");
        PrivateKey key = KeyFactory.getInstance(chain[0].getPublicKey().getAlgorithm())
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(base64)));
        KeyStore store = emptyStore();
        store.setKeyEntry("own", key, PASSWORD, chain);
        KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        factory.init(store, PASSWORD);
        return factory.getKeyManagers();
    }
}
