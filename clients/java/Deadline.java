import java.io.IOException;
import java.net.Socket;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** One absolute deadline for a probe: its socket is closed when that passes, which ends any wait on it. */
final class Deadline {
    private static final ScheduledExecutorService WATCH = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "deadline");
        thread.setDaemon(true);
        return thread;
    });

    final int allowed;
    private final long end;
    private Future<?> closing;

    Deadline(int milliseconds) {
        allowed = milliseconds;
        end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(milliseconds);
    }

    /** What is left, at least one millisecond: none would mean for ever. */
    int left() {
        return (int) Math.max(1, TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime()));
    }

    boolean passed() {
        return System.nanoTime() >= end;
    }

    void closes(Socket socket) {
        closing = WATCH.schedule(() -> {
            try {
                socket.close();
            } catch (IOException error) {
                System.err.println(error);
            }
        }, left(), TimeUnit.MILLISECONDS);
    }

    void over() {
        if (closing != null) {
            closing.cancel(false);
        }
    }
}
