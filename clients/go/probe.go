package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const bodyMax = 1 << 20

var versions = map[uint16]string{
	tls.VersionTLS10: "1.0", tls.VersionTLS11: "1.1", tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3",
}

// serve makes one connection with a configuration of its own; only roots, name and clock are not Go's defaults.
func (p *probe) serve(deadline time.Time, r *report) {
	roots, err := anchors(*p.Anchors)
	if err != nil {
		r.reject("load", "malformed", kind(err), err.Error())
		return
	}
	config := &tls.Config{
		RootCAs:    roots,
		ServerName: *p.ServerName,
		Time: func() time.Time {
			r.Clock = p.Time
			return time.Unix(*p.Time, 0)
		},
	}
	if p.ClientChain != nil {
		own, err := tls.X509KeyPair([]byte(*p.ClientChain), []byte(*p.ClientKey))
		if err != nil {
			r.fail("load", kind(err), err.Error())
			return
		}
		config.Certificates = []tls.Certificate{own}
	}
	dialer := net.Dialer{Deadline: deadline}
	socket, err := dialer.Dial("tcp", net.JoinHostPort(*p.Host, strconv.FormatInt(*p.Port, 10)))
	if err != nil {
		p.broken(r, "connect", err)
		return
	}
	defer socket.Close()
	_ = socket.SetDeadline(deadline)
	conn := tls.Client(socket, config)
	err = conn.Handshake()
	state := conn.ConnectionState()
	r.TLS = versions[state.Version]
	if err != nil {
		if reason, code := verdict(err, *p.Time); reason != "" {
			r.reject("handshake", reason, code, err.Error())
		} else {
			p.broken(r, "handshake", err)
		}
		return
	}
	if len(state.VerifiedChains) > 0 {
		for _, cert := range state.VerifiedChains[0] {
			digest := sha256.Sum256(cert.Raw)
			r.Path = append(r.Path, hex.EncodeToString(digest[:]))
		}
	}
	if err := ask(conn, *p.ServerName); err != nil {
		p.broken(r, "http", err)
		return
	}
	r.settle("accepted", "http", "", "")
	conn.Close()
}

// anchors fills a pool as AppendCertsFromPEM does, but tells what that passes over in silence.
func anchors(text string) (*x509.CertPool, error) {
	pool, rest := x509.NewCertPool(), []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(cert)
	}
	if strings.Contains(string(rest), "-----BEGIN ") {
		return nil, errors.New("an anchor is not PEM")
	}
	return pool, nil
}

// broken reports what is no verdict on a certificate.
func (p *probe) broken(r *report, stage string, err error) {
	var timeout net.Error
	var number syscall.Errno
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		r.fail(stage, "timeout", fmt.Sprintf("no end within %d ms", *p.TimeoutMs))
	case errors.As(err, &number):
		r.fail(stage, strconv.Itoa(int(number)), number.Error())
	default:
		r.fail(stage, kind(err), err.Error())
	}
}

// ask sends one request and reads the whole answer.
func ask(conn io.ReadWriter, host string) error {
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return err
	}
	// The answer's head is bounded as its body is: a server cannot make us read for ever.
	in := bufio.NewReader(io.LimitReader(conn, 2*bodyMax))
	status, err := in.ReadString('\n')
	if err != nil {
		return cut(err)
	}
	if !strings.HasPrefix(status, "HTTP/1.") || !strings.HasPrefix(status[8:], " 200") {
		return errors.New("answer is not HTTP 200")
	}
	length := int64(-1)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return cut(err)
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		field := strings.SplitN(line, ":", 2)
		if len(field) == 2 && strings.EqualFold(field[0], "Content-Length") {
			if length, err = strconv.ParseInt(strings.TrimSpace(field[1]), 10, 64); err != nil {
				return err
			}
		}
	}
	if length > bodyMax {
		return errors.New("answer is too long")
	}
	var body io.Reader = io.LimitReader(in, bodyMax+1)
	if length >= 0 {
		body = io.LimitReader(in, length)
	}
	got, err := io.Copy(discard{}, body)
	switch {
	case err != nil:
		return err
	case got > bodyMax:
		return errors.New("answer is too long")
	case got < length:
		return errors.New("connection ended inside the answer")
	}
	return nil
}

// cut names an end of file where an answer was expected.
func cut(err error) error {
	if err == io.EOF {
		return errors.New("connection ended before the answer")
	}
	return err
}

type discard struct{}

func (discard) Write(data []byte) (int, error) { return len(data), nil }
