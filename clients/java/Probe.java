import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.Date;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.CertPathTrustManagerParameters;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/** One connection, with a context of its own; its report. */
final class Probe {
    /** Whether the older trust manager, SunX509, verifies instead of PKIX. */
    static boolean sunX509;

    /** Whether PKIX asks about revocation, and goes on where it gets no answer. */
    static boolean checksRevocation;

    private static final int BODY_MAX = 1 << 20;
    private static final int HEAD_MAX = 16384;
    private static final Pattern LENGTH = Pattern.compile("\r\nContent-Length: *([0-9]{1,7})\r\n", Pattern.CASE_INSENSITIVE);

    final Map<String, Object> report = new LinkedHashMap<>();

    Probe(String id) {
        report.put("v", 1L);
        report.put("id", id);
    }

    void settle(String outcome, String stage, String code, String text) {
        report.put("outcome", outcome);
        report.put("stage", stage);
        report.put("code", code);
        report.put("text", text);
    }

    private void reject(String stage, String reason, String code, String text) {
        settle("rejected", stage, code, text);
        report.put("reason", reason);
    }

    void serve(Request request, Deadline deadline) {
        String stage = "load";
        try (Socket socket = new Socket()) {
            SSLContext context = context(request);
            if (context == null) {
                return;
            }
            stage = "connect";
            deadline.closes(socket);
            socket.setTcpNoDelay(true);
            InetAddress address = InetAddress.getByName(request.host);
            socket.connect(new InetSocketAddress(address, request.port), deadline.left());
            stage = "handshake";
            // The name of the layered socket is what JSSE sends, and what it compares.
            SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(
                    socket, request.serverName, request.port, true);
            SSLParameters parameters = tls.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            tls.setSSLParameters(parameters);
            tls.startHandshake();
            report.put("tls", tls.getSession().getProtocol().replace("TLSv1", "1").replaceAll("^1$", "1.0"));
            stage = "http";
            ask(tls, request.serverName);
            deadline.over();
            tls.close();
        } catch (IOException | GeneralSecurityException | RuntimeException error) {
            if (!"accepted".equals(report.get("outcome"))) {
                explain(stage, error, deadline);
            }
        } finally {
            deadline.over();
        }
    }

    private void explain(String stage, Exception error, Deadline deadline) {
        Reasons why = Reasons.of(error);
        if (why.reason != null && !stage.equals("http")) {
            reject(stage, why.reason, why.code, Reasons.text(error));
        } else if (deadline.passed()) {
            settle("failed", stage, "timeout", "no end within " + deadline.allowed + " ms");
        } else {
            settle("failed", stage, why.code, Reasons.text(error));
        }
    }

    /** A context that trusts the given anchors; null where PKIX has none, and said so. */
    private SSLContext context(Request request) throws GeneralSecurityException {
        Set<TrustAnchor> anchors = new LinkedHashSet<>();
        InputStream pem = new ByteArrayInputStream(request.anchors.getBytes(StandardCharsets.ISO_8859_1));
        for (Object each : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
            anchors.add(new TrustAnchor((X509Certificate) each, null));
        }
        if (anchors.isEmpty() && !request.anchors.isEmpty()) {
            throw new CertificateException("no anchor can be read");
        }
        return sunX509 ? simple(anchors, request) : pkix(anchors, request);
    }

    private SSLContext pkix(Set<TrustAnchor> anchors, Request request) throws GeneralSecurityException {
        PKIXBuilderParameters pkix;
        try {
            pkix = new PKIXBuilderParameters(anchors, null);
        } catch (GeneralSecurityException error) { // an empty store is no store to PKIX
            reject("load", "unknown-ca", error.getClass().getName(), Reasons.text(error));
            return null;
        }
        pkix.setDate(new Date(request.time * 1000));
        pkix.setRevocationEnabled(false);
        report.put("clock", pkix.getDate().getTime() / 1000);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(new CertPathTrustManagerParameters(pkix));
        if (checksRevocation) {
            return with(request, new SoftFail(manager(factory),
                    strict(pkix, EnumSet.noneOf(Option.class)), strict(pkix, EnumSet.of(Option.ONLY_END_ENTITY))));
        }
        return with(request, factory.getTrustManagers());
    }

    /** PKIX with its own revocation checker. */
    private static X509ExtendedTrustManager strict(PKIXBuilderParameters plain, Set<Option> options)
            throws GeneralSecurityException {
        PKIXBuilderParameters pkix = (PKIXBuilderParameters) plain.clone();
        PKIXRevocationChecker checker =
                (PKIXRevocationChecker) CertPathValidator.getInstance("PKIX").getRevocationChecker();
        checker.setOptions(options);
        pkix.addCertPathChecker(checker);
        pkix.setRevocationEnabled(true);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(new CertPathTrustManagerParameters(pkix));
        return manager(factory);
    }

    private static X509ExtendedTrustManager manager(TrustManagerFactory factory) {
        return (X509ExtendedTrustManager) factory.getTrustManagers()[0];
    }

    /** SunX509 takes a key store and goes by the system's clock, which is frozen for it. */
    private SSLContext simple(Set<TrustAnchor> anchors, Request request) throws GeneralSecurityException {
        KeyStore store = Own.emptyStore();
        for (TrustAnchor anchor : anchors) {
            store.setCertificateEntry("anchor-" + store.size(), anchor.getTrustedCert());
        }
        report.put("clock", System.currentTimeMillis() / 1000);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("SunX509");
        factory.init(store);
        return with(request, factory.getTrustManagers());
    }

    private static SSLContext with(Request request, TrustManager... managers) throws GeneralSecurityException {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(Own.keyManagers(request), managers, null);
        return context;
    }

    /** One request, and the whole answer. */
    private void ask(SSLSocket tls, String host) throws IOException {
        String request = "GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
        tls.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
        tls.getOutputStream().flush();
        InputStream in = tls.getInputStream();
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        byte[] piece = new byte[8192];
        int head = -1;
        int wanted = -1;
        while (wanted < 0 || answer.size() - head < wanted) {
            int got = in.read(piece);
            if (got < 0) {
                break;
            }
            answer.write(piece, 0, got);
            if (head < 0) {
                String text = new String(answer.toByteArray(), StandardCharsets.ISO_8859_1);
                head = text.indexOf("\r\n\r\n") < 0 ? -1 : text.indexOf("\r\n\r\n") + 4;
                Matcher length = LENGTH.matcher(text);
                wanted = head > 0 && length.find() && length.start() < head ? Integer.parseInt(length.group(1)) : -1;
                if (head > 0 && !text.matches("(?s)HTTP/1\\.. 200.*")) {
                    settle("failed", "http", "", "answer is not HTTP 200");
                    return;
                }
            }
            if (head < 0 && answer.size() > HEAD_MAX || answer.size() > BODY_MAX + HEAD_MAX) {
                settle("failed", "http", "", "answer is too long");
                return;
            }
        }
        if (head < 0) {
            settle("failed", "http", "", "connection ended before the answer");
        } else if (answer.size() - head < wanted) {
            settle("failed", "http", "", "connection ended inside the answer");
        } else {
            settle("accepted", "http", "", "");
        }
    }
}
