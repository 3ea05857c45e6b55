import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.Security;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLContext;

/** Java's own TLS stack, JSSE, as a client of the lab: the dialogue, one JSON object a line.  Written in Java 8. */
public final class Driver {
    private static final int LINE_MAX = 4 << 20;
    private static final long DIAL_PATIENCE = 60_000; // milliseconds: a lab that is being started
    private static final long REDIAL_PATIENCE = 5_000; // a lab that hung up may want us again, or be over

    /** Where Java's defaults are left, as the column's name says. */
    private static final List<String> OPTIONS = new ArrayList<>();

    private Driver() {
    }

    private static String hello(String column, String token) throws Exception {
        List<String> can = new ArrayList<>();
        for (String protocol : SSLContext.getDefault().getDefaultSSLParameters().getProtocols()) {
            can.add(protocol.equals("TLSv1") ? "tls1.0" : protocol.toLowerCase().replace("tlsv", "tls"));
        }
        can.add("client-cert");
        Map<String, Object> hello = new LinkedHashMap<>();
        hello.put("v", 1L);
        hello.put("client", "java");
        hello.put("version", System.getProperty("java.version"));
        hello.put("clock", Probe.sunX509 || Probe.checksRevocation ? "faketime" : "native");
        hello.put("can", can);
        hello.put("options", OPTIONS);
        if (column != null) {
            hello.put("column", column);
            hello.put("token", token);
        }
        return Json.write(hello);
    }

    /** A line without its end; empty where it was too long, null at the end: a line without an end is none. */
    private static byte[] line(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream(16384);
        boolean fits = true;
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                return null;
            }
            fits = fits && line.size() < LINE_MAX;
            if (fits) {
                line.write(c);
            }
        }
        return fits ? line.toByteArray() : new byte[0];
    }

    private static Map<String, Object> answer(byte[] line) {
        Probe probe = new Probe("");
        if (line.length == 0) {
            probe.settle("failed", "harness", "", "the line is empty, or longer than 4 MiB");
            return probe.report;
        }
        try {
            Object json = Json.parse(new String(line, StandardCharsets.UTF_8));
            if (!(json instanceof Map)) {
                throw new IllegalArgumentException("not a JSON object");
            }
            probe = new Probe(Request.string((Map<?, ?>) json, "id"));
            Request request = new Request((Map<?, ?>) json);
            if (request.refusal != null) {
                probe.settle("unsupported", "load", "", request.refusal);
            } else {
                probe.serve(request, new Deadline(request.timeout));
            }
        } catch (IllegalArgumentException error) {
            probe.settle("failed", "harness", "", error.getMessage());
        }
        return probe.report;
    }

    private static void send(OutputStream out, String line) throws IOException {
        out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    /** Answers lines until the other side hangs up; how many. */
    private static int loop(InputStream in, OutputStream out) {
        int answered = 0;
        InputStream lines = new BufferedInputStream(in, 1 << 16);
        try {
            for (byte[] line = line(lines); line != null; line = line(lines)) {
                send(out, Json.write(answer(line)));
                answered++;
            }
        } catch (IOException error) {
            return answered; // nobody listens any more
        }
        return answered;
    }

    private static Socket connect(String lab, long patience) throws InterruptedException {
        long end = System.nanoTime() + patience * 1_000_000;
        int colon = lab.lastIndexOf(':');
        while (System.nanoTime() < end) {
            try {
                Socket socket = new Socket(lab.substring(0, colon), Integer.parseInt(lab.substring(colon + 1)));
                socket.setTcpNoDelay(true);
                return socket;
            } catch (IOException error) {
                Thread.sleep(250);
            }
        }
        return null;
    }

    /** Dials in, and again when the lab hangs up; a lab that hangs up without a question has no use for us. */
    private static int dialIn(String lab, String column, String token) throws Exception {
        boolean useful = false;
        while (true) {
            String complaint = "cannot reach the lab at ";
            int answered = 0;
            try (Socket socket = connect(lab, useful ? REDIAL_PATIENCE : DIAL_PATIENCE)) {
                if (socket != null) {
                    complaint = "hung up without a question: the lab at ";
                    OutputStream out = new BufferedOutputStream(socket.getOutputStream());
                    send(out, hello(column, token));
                    answered = loop(socket.getInputStream(), out);
                }
            } catch (IOException error) {
                complaint = error + ": the lab at ";
            }
            if (answered == 0) {
                if (!useful) {
                    System.err.println(complaint + lab);
                }
                return useful ? 0 : 3;
            }
            useful = true;
        }
    }

    private static int usage(String complaint) {
        System.err.println("probe: " + complaint + "\nusage: probe [--dial HOST:PORT --token TOKEN --column NAME]");
        return 2;
    }

    /** Leaves one of Java's defaults; false where there is no such option. */
    private static boolean option(String name) {
        switch (name) {
            case "sunx509":
                Probe.sunX509 = true;
                break;
            case "check-revocation":
                Probe.checksRevocation = true;
                break;
            case "aia":
                System.setProperty("com.sun.security.enableAIAcaIssuers", "true");
                // Since January 2026 an address is asked only where this, too, allows it.
                Security.setProperty("com.sun.security.allowedAIALocations", "any");
                break;
            default:
                return false;
        }
        OPTIONS.add(name);
        return true;
    }

    private static int run(String[] arguments) throws Exception {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i < arguments.length; i += 2) {
            if (i + 1 == arguments.length) {
                return usage(arguments[i] + ": needs a value, or is not known");
            }
            if (arguments[i].equals("--option")) {
                if (!option(arguments[i + 1])) {
                    return usage("unknown option: " + arguments[i + 1]);
                }
                continue;
            }
            if (!arguments[i].matches("--(dial|token|column)")) {
                return usage("unknown argument: " + arguments[i]);
            }
            given.put(arguments[i], arguments[i + 1]);
        }
        if (given.containsKey("--dial")) {
            if (given.size() != 3) {
                return usage("--dial needs --token and --column");
            }
            return dialIn(given.get("--dial"), given.get("--column"), given.get("--token"));
        }
        OutputStream out = new BufferedOutputStream(new FileOutputStream(FileDescriptor.out));
        send(out, hello(null, null));
        loop(System.in, out);
        return 0;
    }

    public static void main(String[] arguments) throws Exception {
        System.exit(run(arguments));
    }
}
