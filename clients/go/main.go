// Go's crypto/tls as a client of the lab: the dialogue with the lab, one JSON object a line.
// Standard library only, and nothing that Go 1.15 does not have.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	lineMax        = 4 << 20
	timeMax        = 253402300799 // the end of year 9999: what X.509 can write down
	timeoutMax     = 24 * 3600 * 1000
	dialPatience   = 60 * time.Second // a lab that is being started
	redialPatience = 5 * time.Second  // a lab that hung up may want us again, or be over
)

type hello struct {
	V       int      `json:"v"`
	Client  string   `json:"client"`
	Version string   `json:"version"`
	Clock   string   `json:"clock"`
	Can     []string `json:"can"`
	Options []string `json:"options"`
	Column  string   `json:"column,omitempty"`
	Token   string   `json:"token,omitempty"`
}

// probe is what the lab asks for; pointers tell what is missing from what is zero.
type probe struct {
	V           *int64   `json:"v"`
	ID          *string  `json:"id"`
	Host        *string  `json:"host"`
	Port        *int64   `json:"port"`
	ServerName  *string  `json:"server_name"`
	Anchors     *string  `json:"anchors"`
	Time        *int64   `json:"time"`
	TimeoutMs   *int64   `json:"timeout_ms"`
	ClientChain *string  `json:"client_chain"`
	ClientKey   *string  `json:"client_key"`
	Pins        []string `json:"pins"`
	Options     []string `json:"options"`
}

type report struct {
	V       int      `json:"v"`
	ID      string   `json:"id"`
	Outcome string   `json:"outcome"`
	Stage   string   `json:"stage"`
	Code    string   `json:"code"`
	Text    string   `json:"text"`
	Reason  string   `json:"reason,omitempty"`
	TLS     string   `json:"tls,omitempty"`
	Path    []string `json:"path,omitempty"`
	Clock   *int64   `json:"clock,omitempty"`
}

func (r *report) settle(outcome, stage, code, text string) {
	r.Outcome, r.Stage, r.Code, r.Text, r.Reason = outcome, stage, code, strings.ToValidUTF8(text, "?"), ""
}

func (r *report) reject(stage, reason, code, text string) {
	r.settle("rejected", stage, code, text)
	r.Reason = reason
}

func (r *report) fail(stage, code, text string) {
	r.settle("failed", stage, code, text)
}

// sound says what is wrong with a line that is JSON, or nothing.
func (p *probe) sound() error {
	integer := func(name string, value *int64, least, most int64) error {
		if value == nil || *value < least || *value > most {
			return fmt.Errorf("%s: an integer from %d to %d is needed", name, least, most)
		}
		return nil
	}
	for _, field := range []struct {
		name  string
		value *string
	}{{"id", p.ID}, {"host", p.Host}, {"server_name", p.ServerName}, {"anchors", p.Anchors}} {
		if field.value == nil {
			return fmt.Errorf("%s: a string is needed", field.name)
		}
	}
	for _, err := range []error{
		integer("v", p.V, 1, 1), integer("port", p.Port, 1, 65535), integer("time", p.Time, 0, timeMax),
		integer("timeout_ms", p.TimeoutMs, 1, timeoutMax),
	} {
		if err != nil {
			return err
		}
	}
	if (p.ClientChain == nil) != (p.ClientKey == nil) {
		return errors.New("client_chain and client_key: both or neither")
	}
	if *p.ServerName == "" || strings.ContainsAny(*p.ServerName, " \t\r\n") {
		return errors.New("server_name: a host name is needed")
	}
	if net.ParseIP(strings.SplitN(*p.Host, "%", 2)[0]) == nil {
		return errors.New("host is not a numeric address")
	}
	return nil
}

// answer serves one line.
func answer(line []byte, received time.Time) *report {
	r := &report{V: 1}
	p := &probe{}
	err := json.Unmarshal(line, p)
	if p.ID != nil {
		r.ID = *p.ID
	}
	if err == nil {
		err = p.sound()
	}
	switch {
	case err != nil:
		r.fail("harness", "", err.Error())
	case len(p.Options) > 0:
		r.settle("unsupported", "load", "", "the client does not know an option of this probe")
	case len(p.Pins) > 0:
		r.settle("unsupported", "load", "", "the client cannot check pins")
	default:
		p.serve(received.Add(time.Duration(*p.TimeoutMs)*time.Millisecond), r)
	}
	return r
}

// readLine returns a line without its end; nil where it was too long, which is then skipped.  A last line
// without an end is no line: its sender did not finish.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, fits := []byte{}, true
	for {
		part, err := in.ReadSlice('\n')
		if fits = fits && len(line)+len(part) <= lineMax+1; fits {
			line = append(line, part...)
		}
		if err == nil && fits {
			return bytes.TrimSuffix(line, []byte("\n")), nil
		}
		if err != bufio.ErrBufferFull {
			return nil, err
		}
	}
}

// loop answers lines until the other side hangs up, and returns how many.
func loop(in io.Reader, out *json.Encoder) int {
	reader := bufio.NewReaderSize(in, 1<<16)
	for answered := 0; ; answered++ {
		line, err := readLine(reader)
		if err != nil {
			return answered
		}
		r := &report{V: 1}
		if line == nil {
			r.fail("harness", "", "the line is longer than 4 MiB")
		} else {
			r = answer(line, time.Now())
		}
		if out.Encode(r) != nil {
			return answered
		}
	}
}

func encoder(out io.Writer) *json.Encoder {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	return lines
}

// greeting returns the hello: go1.18 made TLS 1.2 the least that a client offers by default.
func greeting(column, token string) *hello {
	can := []string{"tls1.2", "tls1.3", "client-cert"}
	for _, old := range []string{"go1.15", "go1.16", "go1.17"} {
		if runtime.Version() == old || strings.HasPrefix(runtime.Version(), old+".") {
			can = append([]string{"tls1.0", "tls1.1"}, can...)
		}
	}
	return &hello{1, "go", runtime.Version(), "native", can, []string{}, column, token}
}

func connect(lab string, patience time.Duration) net.Conn {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", lab, time.Until(end)); err == nil {
			return conn
		}
	}
	return nil
}

// dialIn dials in, and again when the lab hangs up: it does so after a deadline, and may then want a fresh
// start.  A lab that hangs up without a question has no use for us.
func dialIn(lab, column, token string) int {
	useful, patience := false, dialPatience
	for {
		complaint := "cannot reach the lab at "
		answered := 0
		if conn := connect(lab, patience); conn != nil {
			complaint = "hung up without a question: the lab at "
			lines := encoder(conn)
			if lines.Encode(greeting(column, token)) == nil {
				answered = loop(conn, lines)
			}
			conn.Close()
		}
		if answered == 0 && useful {
			return 0
		}
		if answered == 0 {
			fmt.Fprintln(os.Stderr, complaint+lab)
			return 3
		}
		useful, patience = true, redialPatience
	}
}

func usage(complaint string) int {
	fmt.Fprintf(os.Stderr, "%s: %s\nusage: %s [--dial HOST:PORT --token TOKEN --column NAME]\n",
		os.Args[0], complaint, os.Args[0])
	return 2
}

func run(arguments []string) int {
	given := map[string]string{}
	for ; len(arguments) > 0; arguments = arguments[2:] {
		switch name := arguments[0]; {
		case len(arguments) == 1:
			return usage(name + ": needs a value, or is not known")
		case name == "--option":
			return usage("unknown option: " + arguments[1])
		case name == "--dial" || name == "--token" || name == "--column":
			given[name] = arguments[1]
		default:
			return usage("unknown argument: " + name)
		}
	}
	if given["--dial"] != "" {
		if given["--token"] == "" || given["--column"] == "" {
			return usage("--dial needs --token and --column")
		}
		return dialIn(given["--dial"], given["--column"], given["--token"])
	}
	lines := encoder(os.Stdout)
	if lines.Encode(greeting("", "")) != nil {
		return 3
	}
	loop(os.Stdin, lines)
	return 0
}

func main() {
	os.Exit(run(os.Args[1:]))
}
