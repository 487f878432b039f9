// Takes and releases locks the way Go programs commonly do.
//
// Arguments: URL. Reads `acquire NAME TTL_MS`, `release NAME TOKEN` and `quit`.
// Needs nothing but the standard library: what it speaks of RESP is below.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

const releaseScript = `
if redis.call("GET", KEYS[1]) == ARGV[1] then
    return redis.call("DEL", KEYS[1])
else
    return 0
end
`

type client struct {
	conn    net.Conn
	replies *bufio.Reader
}

func dial(rawURL string) (*client, error) {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", parsed.Host)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// do sends a command and returns its reply as text; ok is false for a null reply.
func (c *client) do(words ...string) (reply string, ok bool, err error) {
	var command strings.Builder
	fmt.Fprintf(&command, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c.conn, command.String()); err != nil {
		return "", false, err
	}
	line, err := c.replies.ReadString('\n')
	if err != nil {
		return "", false, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", false, fmt.Errorf("%s: empty reply", words[0])
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '+', ':':
		return rest, true, nil
	case '-':
		return "", false, fmt.Errorf("%s: %s", words[0], rest)
	case '$':
		length, err := strconv.Atoi(rest)
		if err != nil || length < 0 {
			return "", false, err
		}
		text := make([]byte, length+len("\r\n"))
		_, err = io.ReadFull(c.replies, text)
		return string(text[:length]), true, err
	default:
		return "", false, fmt.Errorf("%s: unexpected reply %q", words[0], line)
	}
}

func (c *client) acquire(name, ttlMs string) (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	token := hex.EncodeToString(random)
	_, ok, err := c.do("SET", "lock:"+name, token, "NX", "PX", ttlMs)
	if err != nil {
		return "", err
	}
	if !ok {
		return "held", nil
	}
	return "ok " + token, nil
}

func (c *client) release(name, token string) (string, error) {
	deleted, _, err := c.do("EVAL", releaseScript, "1", "lock:"+name, token)
	return deleted, err
}

func (c *client) answer(request []string) (string, error) {
	switch {
	case len(request) == 3 && request[0] == "acquire":
		return c.acquire(request[1], request[2])
	case len(request) == 3 && request[0] == "release":
		return c.release(request[1], request[2])
	default:
		return "", fmt.Errorf("unknown request: %q", request)
	}
}

func main() {
	log.SetFlags(0)
	client, err := dial(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && lines.Text() != "quit" {
		answer, err := client.answer(strings.Fields(lines.Text()))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer)
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
