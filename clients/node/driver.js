/* Node's tls module as a client, in the JavaScript that every Node since 0.8 understands.
 *
 * The context is Node's own default but for the anchors.  Node lets OpenSSL finish the handshake whatever it thinks of
 * the chain, then asks for OpenSSL's verdict, and only where that is good compares names, in JavaScript.  So what it
 * reports is the *last* error that OpenSSL met on the path.  The clock is the system's: kit/frozen.c moves it. */
'use strict';

var net = require('net');
var tls = require('tls');
var reasons = require('./reasons.js');

var LINE_MAX = 4 << 20;
var HEAD_MAX = 16384;
var BODY_MAX = 1 << 20;
var STRINGS = ['id', 'host', 'server_name', 'anchors'];
var RANGES = {v: [1, 1], port: [1, 65535], time: [0, 253402300799], timeout_ms: [1, 86400000]};

function say(object) {
  process.stdout.write(JSON.stringify(object) + '\n');
}

function number(version) {
  return version.split('.').reduce(function(sum, part) { return sum * 1000 + parseInt(part, 10); }, 0);
}

var node = number(process.versions.node);
var openssl = number(process.versions.openssl);

/* Before 0.11, setTimeout() compares calendar times, which stand still here; the timer beneath it does not. */
function after(ms, callback) {
  var Timer, timer;

  if (node >= number('0.11.0')) {
    timer = setTimeout(callback, ms);
    return function() { clearTimeout(timer); };
  }
  Timer = process.binding('timer_wrap').Timer;
  timer = new Timer();
  timer.ontimeout = callback;
  timer.start(ms, 0);
  return function() { timer.close(); };
}

function certificates(pem) {
  return pem.match(/-----BEGIN [^-]*CERTIFICATE-----[\s\S]*?-----END [^-]*CERTIFICATE-----/g) || [];
}

/* One connection; `settle` is called once, with the report's fields. */
function connect(probe, settle) {
  var socket = null;
  var stream = null;
  var stage = 'connect';
  var received = '';
  var over = false;
  var cancel;

  function end(report) {
    var version; /* a stream has one before it is agreed upon */

    if (over)
      return;
    over = true;
    cancel();
    report.stage = report.stage || stage;
    report.clock = Math.floor(Date.now() / 1000);
    if ((stage === 'http' || report.outcome === 'rejected') && stream && stream.getProtocol &&
        (version = /^TLSv(1(\.\d)?)$/.exec(stream.getProtocol())))
      report.tls = version[2] ? version[1] : '1.0';
    if (stream)
      stream.destroy();
    if (socket)
      socket.destroy();
    settle(report);
  }

  function broken(error) {
    var verdict = stream && stream.authorizationError; /* set before the error is raised, and only then */
    var said = (error.message || String(error)).replace(/^[0-9A-F]+:(?=error:)/, '').split('\n')[0]; /* less a thread */
    var native = /^error:([0-9A-F]+):/.exec(said);
    var code = native ? native[1] : error.code || '';

    if (verdict)
      end({outcome: 'rejected', code: reasons.code(error, verdict), text: said, reason: reasons.reason(error, said)});
    else if (stage === 'handshake' && /^error:[^:]*:asn1 encoding|:cert length mismatch/i.test(said)) /* OpenSSL cannot decode a certificate */
      end({outcome: 'rejected', code: code, text: said, reason: 'malformed'});
    else if (stage === 'handshake' && /:ecc cert not for signing/.test(said)) /* its key usage, or one that is invalid */
      end({outcome: 'rejected', code: code, text: said, reason: 'wrong-usage'});
    else
      end({outcome: 'failed', code: code, text: said});
  }

  function request() {
    stage = 'http';
    stream.write('GET / HTTP/1.1\r\nHost: ' + probe.server_name + '\r\nConnection: close\r\n\r\n');
  }

  /* The answer so far; true where it is whole. */
  function judge(ended) {
    var head = received.indexOf('\r\n\r\n');
    var length = /\r\nContent-Length:\s*(\d+)/i.exec(received.slice(0, head < 0 ? 0 : head));
    var body = received.length - head - 4;

    if (head < 0 && received.length > HEAD_MAX || body > BODY_MAX)
      end({outcome: 'failed', code: '', text: 'the answer is too long'});
    else if (head >= 0 && !/^HTTP\/1\.. 200/.test(received))
      end({outcome: 'failed', code: '', text: 'answer is not HTTP 200'});
    else if (head >= 0 && (length ? body >= parseInt(length[1], 10) : ended))
      end({outcome: 'accepted', code: '', text: ''});
    else if (ended)
      end({outcome: 'failed', code: '', text: 'connection ended before the answer'});
  }

  function secure() {
    var options = {
      socket: socket,
      ca: certificates(probe.anchors),
      rejectUnauthorized: true
    };

    stage = 'handshake';
    options[net.isIP(probe.server_name) ? 'host' : 'servername'] = probe.server_name; /* both are checked, one is sent */
    if (probe.client_chain) {
      options.cert = probe.client_chain;
      options.key = probe.client_key;
    }
    try {
      stream = tls.connect(options, request);
    } catch (error) { /* nothing was sent yet: it is the anchors or the client's own certificate */
      if (/PEM|asn1|x509/i.test(error.message) && !probe.client_chain)
        end({outcome: 'rejected', stage: 'load', code: error.code || '', text: error.message, reason: 'malformed'});
      else
        end({outcome: 'failed', stage: 'load', code: error.code || '', text: error.message});
      return;
    }
    stream.on('error', broken);
    stream.on('data', function(data) {
      received += data.toString('binary');
      judge(false);
    });
    stream.on('end', function() {
      if (stage === 'http')
        judge(true);
    });
    stream.on('close', function() {
      end({outcome: 'failed', code: '', text: 'connection ended'});
    });
  }

  cancel = after(probe.timeout_ms, function() {
    end({outcome: 'failed', code: 'timeout', text: 'no end within ' + probe.timeout_ms + ' ms'});
  });
  socket = net.connect(probe.port, probe.host, secure);
  socket.setNoDelay(true);
  socket.on('error', broken);
}

/* What is wrong with a line, or nothing. */
function fault(probe) {
  var i, name, value;

  if (probe === null || typeof probe !== 'object')
    return 'not a JSON object';
  for (i = 0; i < STRINGS.length; i++)
    if (typeof probe[STRINGS[i]] !== 'string')
      return STRINGS[i] + ': a string is needed';
  for (name in RANGES) {
    value = probe[name];
    if (typeof value !== 'number' || value % 1 !== 0 || value < RANGES[name][0] || value > RANGES[name][1])
      return name + ': an integer from ' + RANGES[name].join(' to ') + ' is needed';
  }
  if (!net.isIP(probe.host))
    return 'host: a numeric address is needed';
  if (!/^\S+$/.test(probe.server_name))
    return 'server_name: a host name is needed';
  if (!probe.client_chain !== !probe.client_key)
    return 'client_chain and client_key: both or neither';
  return null;
}

function serve(line, done) {
  var id = '';
  var probe, wrong;

  function settle(report) {
    report.v = 1;
    report.id = id;
    say(report);
    done();
  }

  try {
    probe = JSON.parse(line);
    wrong = fault(probe);
    id = probe && typeof probe.id === 'string' ? probe.id : '';
  } catch (error) {
    wrong = 'not JSON: ' + error.message;
  }
  if (wrong)
    settle({outcome: 'failed', stage: 'harness', code: '', text: wrong});
  else if (probe.pins && probe.pins.length || probe.options && probe.options.length)
    settle({outcome: 'unsupported', stage: 'load', code: '', text: 'the client has neither pins nor options'});
  else
    connect(probe, settle);
}

function main() {
  var pending = '';
  var skipping = false;
  var busy = false;
  var ended = false;

  /* One line is under way at a time. */
  function next() {
    var end = busy ? -1 : pending.indexOf('\n');
    var line;

    if (!busy && end < 0 && pending.length > LINE_MAX) {
      pending = '';
      skipping = true;
    }
    if (end < 0) {
      if (ended && !busy)
        process.exit(0);
      return;
    }
    line = skipping || end > LINE_MAX ? '(the line is longer than 4 MiB)' : pending.slice(0, end);
    pending = pending.slice(end + 1);
    skipping = false;
    busy = true;
    serve(line, function() {
      busy = false;
      next();
    });
  }

  if (process.argv.length > 2) {
    console.error('unknown argument: ' + process.argv[2] + '\nusage: node driver.js');
    process.exit(2);
  }
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', function(data) {
    pending += data;
    next();
  });
  process.stdin.on('end', function() {
    ended = true;
    next();
  });
  process.stdin.resume();
  say({
    v: 1,
    client: 'node',
    version: 'OpenSSL ' + process.versions.openssl + ' (node ' + process.versions.node + ')',
    clock: 'real',
    can: ['tls1.0'].concat(openssl >= number('1.0.1') ? ['tls1.1', 'tls1.2'] : [],
                           openssl >= number('1.1.1') && node >= number('12.0.0') ? ['tls1.3'] : [], ['client-cert']),
    options: []
  });
}

main();
