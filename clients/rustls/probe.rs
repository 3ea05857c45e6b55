//! One probe: what the lab asks for, one connection under one deadline, and the report.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ProtocolVersion};
use serde_json::{json, Value};

use crate::{reasons, stack};

const TIME_MAX: i64 = 253_402_300_799; // the end of year 9999: what X.509 can write down
const TIMEOUT_MAX: i64 = 24 * 3600 * 1000;
const HEAD_MAX: usize = 16384;
const BODY_MAX: usize = 1 << 20;

#[derive(Default)]
pub struct Report {
    outcome: &'static str,
    stage: &'static str,
    code: String,
    text: String,
    reason: Option<&'static str>,
    tls: Option<&'static str>,
    clock: Option<u64>,
}

impl Report {
    fn settle(mut self, outcome: &'static str, stage: &'static str, code: &str, text: &str) -> Self {
        self.outcome = outcome;
        self.stage = stage;
        self.code = code.chars().take(190).collect();
        self.text = text.chars().take(500).collect();
        self
    }

    pub fn failed(self, stage: &'static str, code: &str, text: &str) -> Self {
        self.settle("failed", stage, code, text)
    }

    fn unsupported(self, text: &str) -> Self {
        self.settle("unsupported", "load", "", text)
    }

    /// What rustls says: a rejection where it is about a certificate, else a failure.
    fn error(mut self, stage: &'static str, error: &rustls::Error) -> Self {
        let code = reasons::code(error);
        self.reason = reasons::reason(&code);
        let outcome = match (self.reason, code.as_str()) {
            (Some(_), _) => "rejected",
            (None, "UnsupportedNameType") => "unsupported", // 0.20 has no addresses for names
            _ => "failed",
        };
        self.settle(outcome, stage, &code, &error.to_string())
    }

    pub fn line(&self, id: &str) -> Value {
        let mut line = json!({
            "v": 1, "id": id, "outcome": self.outcome, "stage": self.stage, "code": self.code, "text": self.text,
        });
        if let Some(reason) = self.reason {
            line["reason"] = reason.into();
        }
        if let Some(tls) = self.tls {
            line["tls"] = tls.into();
        }
        if let Some(clock) = self.clock {
            line["clock"] = clock.into();
        }
        line
    }
}

/// The clock that the stack is given; it remembers whether the stack looked.
#[derive(Debug)]
pub struct Clock {
    time: Duration,
    read: AtomicBool,
}

impl Clock {
    /// Since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> Duration {
        self.read.store(true, Ordering::Relaxed);
        self.time
    }
}

/// A blocking socket under one absolute deadline.
struct Socket {
    stream: TcpStream,
    deadline: Instant,
}

impl Socket {
    fn left(&self) -> io::Result<Duration> {
        self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            .ok_or_else(|| ErrorKind::TimedOut.into())
    }
}

impl Read for Socket {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(data)
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

struct Probe<'a> {
    address: SocketAddr,
    server_name: &'a str,
    anchors: &'a str,
    own: Option<(&'a str, &'a str)>,
    time: Duration,
    timeout: Duration,
}

fn string<'a>(line: &'a Value, name: &str) -> Result<&'a str, String> {
    line[name].as_str().ok_or(format!("{}: a string is needed", name))
}

fn integer(line: &Value, name: &str, least: i64, most: i64) -> Result<i64, String> {
    line[name].as_i64().filter(|value| (least..=most).contains(value))
        .ok_or(format!("{}: an integer from {} to {} is needed", name, least, most))
}

fn understand(line: &Value) -> Result<Probe, String> {
    integer(line, "v", 1, 1)?;
    let host: IpAddr = string(line, "host")?.parse().map_err(|_| "host is not a numeric address")?;
    let probe = Probe {
        address: SocketAddr::new(host, integer(line, "port", 1, 65535)? as u16),
        server_name: string(line, "server_name")?,
        anchors: string(line, "anchors")?,
        own: match (line["client_chain"].as_str(), line["client_key"].as_str()) {
            (Some(chain), Some(key)) => Some((chain, key)),
            (None, None) => None,
            _ => return Err("client_chain and client_key: both or neither".to_string()),
        },
        time: Duration::from_secs(integer(line, "time", 0, TIME_MAX)? as u64),
        timeout: Duration::from_millis(integer(line, "timeout_ms", 1, TIMEOUT_MAX)? as u64),
    };
    if probe.server_name.is_empty() || probe.server_name.contains([' ', '\t', '\r', '\n'].as_ref()) {
        return Err("server_name: a host name is needed".to_string());
    }
    Ok(probe)
}

/// Why a well-said probe is beyond this client.
fn refusal(line: &Value) -> Option<&'static str> {
    let given = |name: &str| line[name].as_array().map_or(false, |list| !list.is_empty());
    if given("options") {
        return Some("the client does not know an option of this probe");
    }
    if given("pins") {
        return Some("the client cannot check pins");
    }
    None
}

/// Serves one line.
pub fn answer(line: &[u8], received: Instant) -> Value {
    let report = Report::default();
    let line: Value = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return report.failed("harness", "", &format!("not JSON: {}", error)).line(""),
    };
    let id = match string(&line, "id") {
        Ok(id) => id,
        Err(error) => return report.failed("harness", "", &error).line(""),
    };
    match (understand(&line), refusal(&line)) {
        (Err(error), _) => report.failed("harness", "", &error),
        (_, Some(why)) => report.unsupported(why),
        (Ok(probe), None) => probe.serve(received + probe.timeout, report),
    }
    .line(id)
}

impl Probe<'_> {
    fn serve(&self, deadline: Instant, mut report: Report) -> Report {
        let clock = Arc::new(Clock { time: self.time, read: AtomicBool::new(false) });
        let mut tls = match stack::connection(self.anchors, self.own, self.server_name, clock.clone()) {
            Ok(tls) => tls,
            Err(stack::Refusal::Name) => return report.unsupported("rustls takes no such server name"),
            Err(stack::Refusal::Anchor(text)) => {
                report.reason = Some("malformed");
                return report.settle("rejected", "load", "anchor", &text);
            }
            Err(stack::Refusal::Own(text)) => return report.failed("load", "own", &text),
            Err(stack::Refusal::Error(error)) => return report.error("load", &error),
        };
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut socket = match TcpStream::connect_timeout(&self.address, left) {
            Ok(stream) => Socket { stream, deadline },
            Err(error) => return self.broken(report, "connect", &error),
        };
        if let Err(error) = socket.stream.set_nodelay(true) {
            return self.broken(report, "connect", &error);
        }
        let mut stage = "handshake";
        let result = shake(&mut tls, &mut socket).and_then(|()| {
            stage = "http";
            self.ask(&mut rustls::Stream::new(&mut tls, &mut socket))
        });
        report.clock = Some(self.time.as_secs()).filter(|_| clock.read.load(Ordering::Relaxed));
        report.tls = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Some("1.2"),
            Some(ProtocolVersion::TLSv1_3) => Some("1.3"),
            _ => None,
        };
        if let Err(error) = result {
            return self.broken(report, stage, &error);
        }
        tls.send_close_notify();
        let _ = tls.write_tls(&mut socket); // the answer is there: how we part decides nothing
        report.settle("accepted", "http", "", "")
    }

    fn broken(&self, report: Report, stage: &'static str, error: &io::Error) -> Report {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return report.error(stage, error);
        }
        if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
            return report.failed(stage, "timeout", &format!("no end within {} ms", self.timeout.as_millis()));
        }
        let code = error.raw_os_error().map_or(format!("{:?}", error.kind()), |number| number.to_string());
        report.failed(stage, &code, &error.to_string())
    }

    /// One request, and the whole answer.
    fn ask(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let wrong = |text: &str| Err(io::Error::new(ErrorKind::Other, text));
        write!(stream, "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.server_name)?;
        stream.flush()?;
        let (mut answer, mut piece, mut end) = (Vec::new(), [0; 8192], None);
        let mut wanted = None;
        while wanted.map_or(true, |wanted| answer.len() < wanted) {
            let got = stream.read(&mut piece)?;
            if got == 0 {
                break;
            }
            answer.extend_from_slice(&piece[..got]);
            if end.is_none() {
                end = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
                wanted = end.and_then(|end| length(&answer[..end]).map(|length| end.saturating_add(length)));
            }
            if answer.len() > HEAD_MAX + BODY_MAX || (end.is_none() && answer.len() > HEAD_MAX) {
                return wrong("answer is too long");
            }
        }
        if end.is_none() {
            return wrong("connection ended before the answer");
        }
        if !answer.starts_with(b"HTTP/1.") || answer.get(8..12) != Some(b" 200") {
            return wrong("answer is not HTTP 200");
        }
        if wanted.map_or(false, |wanted| answer.len() < wanted) {
            return wrong("connection ended inside the answer");
        }
        Ok(())
    }
}

fn shake(tls: &mut ClientConnection, socket: &mut Socket) -> io::Result<()> {
    while tls.is_handshaking() {
        tls.complete_io(socket)?;
    }
    Ok(())
}

/// The value of Content-Length; None where the body lasts to the end of the connection.
fn length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
}
