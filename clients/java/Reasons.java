import java.security.cert.CertPathBuilderException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.CertificateParsingException;
import java.util.HashMap;
import java.util.Map;

/** JSSE's exceptions in the lab's words. */
final class Reasons {
    /** CertPathValidatorException.BasicReason and PKIXReason, by name. */
    private static final Map<String, String> REASONS = new HashMap<>();

    static {
        REASONS.put("EXPIRED", "expired");
        REASONS.put("NOT_YET_VALID", "not-yet-valid");
        REASONS.put("REVOKED", "revoked");
        REASONS.put("INVALID_SIGNATURE", "bad-signature");
        REASONS.put("ALGORITHM_CONSTRAINED", "weak");
        REASONS.put("NAME_CHAINING", "unknown-ca");
        REASONS.put("NO_TRUST_ANCHOR", "unknown-ca");
        REASONS.put("INVALID_KEY_USAGE", "wrong-usage");
        REASONS.put("UNRECOGNIZED_CRIT_EXT", "malformed");
        REASONS.put("NOT_CA_CERT", "not-a-ca");
        REASONS.put("PATH_TOO_LONG", "path-length");
        REASONS.put("INVALID_NAME", "name-constraints");
    }

    /** The lab's reason; null where it is not the verification of a certificate that said no. */
    final String reason;
    /** The exception's class, and what tells it from others of that class. */
    final String code;

    private Reasons(String reason, Throwable error, String detail) {
        this.reason = reason;
        this.code = error.getClass().getName() + (detail.isEmpty() ? "" : "/" + detail);
    }

    /** Looks for the cause that says most: a certification path's reason, else the innermost that is known. */
    static Reasons of(Throwable error) {
        Reasons found = null;
        Throwable innermost = error;
        for (Throwable each = error; each != null; each = each.getCause()) {
            innermost = each;
            if (each instanceof CertPathValidatorException) {
                String name = String.valueOf(((CertPathValidatorException) each).getReason());
                if (REASONS.containsKey(name)) {
                    return new Reasons(REASONS.get(name), each, name);
                }
            }
            Reasons known = known(each);
            found = known != null ? known : found;
        }
        return found != null ? found : new Reasons(null, innermost, "");
    }

    private static Reasons known(Throwable error) {
        if (error instanceof CertificateExpiredException) {
            return new Reasons("expired", error, "");
        }
        if (error instanceof CertificateNotYetValidException) {
            return new Reasons("not-yet-valid", error, "");
        }
        if (error instanceof CertPathBuilderException) {
            return new Reasons("unknown-ca", error, "");
        }
        if (error instanceof CertificateParsingException) {
            return new Reasons("malformed", error, "");
        }
        if (error instanceof CertPathValidatorException) {
            return new Reasons("other", error, "UNSPECIFIED");
        }
        if (!(error instanceof CertificateException)) {
            return null;
        }
        // Host name and end-entity checks have no class of their own, but a place.
        String place = place(error);
        if (place.equals("SimpleValidator") && error.getMessage().startsWith("No trusted certificate")) {
            return new Reasons("unknown-ca", error, place); // SunX509's ValidatorException.T_NO_TRUST_ANCHOR
        }
        switch (place) {
            case "HostnameChecker": return new Reasons("wrong-host", error, place);
            case "EndEntityChecker": return new Reasons("wrong-usage", error, place);
            case "CertificateMessage": return new Reasons("malformed", error, place);
            case "X509Factory": return new Reasons("malformed", error, place);
            default: return new Reasons("other", error, place);
        }
    }

    /** The class that threw. */
    private static String place(Throwable error) {
        StackTraceElement[] frames = error.getStackTrace();
        if (frames.length == 0) {
            return "";
        }
        String name = frames[0].getClassName();
        return name.substring(name.lastIndexOf('.') + 1).replaceAll("[$].*", "");
    }

    /** The messages of an exception and its causes, without those that are told already. */
    static String text(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable each = error; each != null; each = each.getCause()) {
            String message = each.getMessage();
            if (message == null || text.indexOf(message) < 0) {
                text.append(text.length() > 0 ? ": " : "").append(each);
            }
        }
        return text.length() > 500 ? text.substring(0, 500) : text.toString();
    }
}
