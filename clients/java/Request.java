import java.util.List;
import java.util.Map;

/** What the lab asks for. */
final class Request {
    private static final long TIME_MAX = 253402300799L; // the end of year 9999: what X.509 can write down
    private static final int TIMEOUT_MAX = 24 * 3600 * 1000;

    final String host;
    final int port;
    final String serverName;
    final String anchors;
    final long time;
    final int timeout;
    /** The client's own certificates and key in PEM; null where it has none. */
    final String clientChain;
    final String clientKey;
    /** Why this client cannot serve it; null where it can. */
    final String refusal;

    Request(Map<?, ?> line) {
        integer(line, "v", 1, 1);
        host = string(line, "host");
        port = (int) integer(line, "port", 1, 65535);
        serverName = string(line, "server_name");
        anchors = string(line, "anchors");
        time = integer(line, "time", 0, TIME_MAX);
        timeout = (int) integer(line, "timeout_ms", 1, TIMEOUT_MAX);
        clientChain = line.get("client_chain") == null ? null : string(line, "client_chain");
        clientKey = line.get("client_key") == null ? null : string(line, "client_key");
        if ((clientChain == null) != (clientKey == null)) {
            throw new IllegalArgumentException("client_chain and client_key: both or neither");
        }
        if (!serverName.matches("[^ \t\r\n]+")) {
            throw new IllegalArgumentException("server_name: a host name is needed");
        }
        if (!host.matches("[0-9]+([.][0-9]+){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%.*)?")) {
            throw new IllegalArgumentException("host is not a numeric address");
        }
        if (given(line, "options")) {
            refusal = "the client does not know an option of this probe";
        } else if (given(line, "pins")) {
            refusal = "the client cannot check pins";
        } else {
            refusal = null;
        }
    }

    static String string(Map<?, ?> line, String name) {
        Object value = line.get(name);
        if (!(value instanceof String)) {
            throw new IllegalArgumentException(name + ": a string is needed");
        }
        return (String) value;
    }

    private static long integer(Map<?, ?> line, String name, long least, long most) {
        Object value = line.get(name);
        if (!(value instanceof Long) || (Long) value < least || (Long) value > most) {
            throw new IllegalArgumentException(name + ": an integer from " + least + " to " + most + " is needed");
        }
        return (Long) value;
    }

    private static boolean given(Map<?, ?> line, String name) {
        Object value = line.get(name);
        if (value != null && !(value instanceof List)) {
            throw new IllegalArgumentException(name + ": a list of strings is needed");
        }
        return value != null && !((List<?>) value).isEmpty();
    }
}
