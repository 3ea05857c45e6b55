//! rustls as a client of the lab: the dialogue, one JSON object a line.
mod probe;
mod reasons;
#[cfg_attr(line = "0.20", path = "line20.rs")]
#[cfg_attr(line = "0.23", path = "line23.rs")]
mod stack;

use std::collections::HashMap;
use std::io::{stdin, stdout, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::exit;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

const LINE_MAX: u64 = 4 << 20;
const DIAL_PATIENCE: Duration = Duration::from_secs(60); // a lab that is being started
const REDIAL_PATIENCE: Duration = Duration::from_secs(5); // a lab that hung up may want us again, or be over

/// rustls has no function that tells its version: this is what cargo resolved.
const VERSION: &str = env!("STACK_VERSION");

/// A process that is PID 1 has no default action for signals: it must ask for one.
extern "C" fn end(signal: libc::c_int) {
    unsafe { libc::_exit(128 + signal) }
}

fn hello(dialled: Option<(&str, &str)>) -> Value {
    let mut hello = json!({
        "v": 1, "client": "rustls", "version": VERSION, "clock": "native",
        "can": ["tls1.2", "tls1.3", "client-cert"], "options": [],
    });
    if let Some((column, token)) = dialled {
        hello["column"] = column.into();
        hello["token"] = token.into();
    }
    hello
}

/// A line without its end; Err where it was too long, which is then skipped; None at the end of input.  A last line
/// without an end is no line: its sender did not finish.
fn read_line(input: &mut impl BufRead) -> Option<Result<Vec<u8>, ()>> {
    let mut line = Vec::new();
    input.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut line).ok()?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Some(Ok(line));
    }
    if line.len() as u64 <= LINE_MAX {
        return None;
    }
    while line.last() != Some(&b'\n') {
        line.clear();
        if input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
    }
    Some(Err(()))
}

fn send(output: &mut impl Write, line: &Value) -> bool {
    output.write_all(format!("{}\n", line).as_bytes()).and_then(|()| output.flush()).is_ok()
}

/// Answers lines until the other side hangs up; how many.
fn serve(input: impl Read, mut output: impl Write) -> usize {
    let mut input = BufReader::new(input);
    let mut answered = 0;
    while let Some(line) = read_line(&mut input) {
        let report = match line {
            Ok(line) => probe::answer(&line, Instant::now()),
            Err(()) => probe::Report::default().failed("harness", "", "the line is longer than 4 MiB").line(""),
        };
        if !send(&mut output, &report) {
            break; // nobody listens any more
        }
        answered += 1;
    }
    answered
}

fn dial(lab: &str, patience: Duration) -> Option<TcpStream> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        for address in lab.to_socket_addrs().into_iter().flatten() {
            if let Ok(stream) = TcpStream::connect_timeout(&address, patience) {
                stream.set_nodelay(true).ok()?;
                return Some(stream);
            }
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    None
}

/// Dials in, and again when the lab hangs up; a lab that hangs up without a question has no use for us.
fn dial_in(lab: &str, column: &str, token: &str) -> i32 {
    let mut useful = false;
    loop {
        let mut complaint = "cannot reach the lab at";
        let mut answered = 0;
        if let Some(mut stream) = dial(lab, if useful { REDIAL_PATIENCE } else { DIAL_PATIENCE }) {
            complaint = "hung up without a question: the lab at";
            if let (true, Ok(input)) = (send(&mut stream, &hello(Some((column, token)))), stream.try_clone()) {
                answered = serve(input, stream);
            }
        }
        if answered == 0 {
            if !useful {
                eprintln!("{} {}", complaint, lab);
            }
            return if useful { 0 } else { 3 };
        }
        useful = true;
    }
}

fn usage(complaint: &str) -> i32 {
    eprintln!("probe: {}\nusage: probe [--dial HOST:PORT --token TOKEN --column NAME]", complaint);
    2
}

fn run() -> i32 {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut given = HashMap::new();
    for pair in arguments.chunks(2) {
        match (pair[0].as_str(), pair.get(1)) {
            (name, None) => return usage(&format!("{}: needs a value, or is not known", name)),
            ("--option", Some(value)) => return usage(&format!("unknown option: {}", value)),
            (name @ ("--dial" | "--token" | "--column"), Some(value)) => given.insert(name, value.as_str()),
            (name, _) => return usage(&format!("unknown argument: {}", name)),
        };
    }
    if let Some(lab) = given.get("--dial") {
        return match (given.get("--column"), given.get("--token")) {
            (Some(column), Some(token)) => dial_in(lab, column, token),
            _ => usage("--dial needs --token and --column"),
        };
    }
    if !send(&mut stdout(), &hello(None)) {
        return 3;
    }
    serve(stdin(), stdout());
    0
}

fn main() {
    unsafe {
        libc::signal(libc::SIGTERM, end as extern "C" fn(libc::c_int) as libc::sighandler_t);
        libc::signal(libc::SIGINT, end as extern "C" fn(libc::c_int) as libc::sighandler_t);
    }
    exit(run());
}
