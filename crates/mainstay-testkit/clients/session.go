// Keeps sessions the way Go programs commonly do.
//
// Arguments: URL. Reads `create USER TENANT ROLE`, `read ID`, `delete-all USER` and `quit`.
// Needs nothing but the standard library: what it speaks of RESP is below.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const sessionTTL = 24 * time.Hour

// Session is the recipe's.
type Session struct {
	ID        string    `json:"id"`
	UserID    string    `json:"user_id"`
	TenantID  string    `json:"tenant_id"`
	Role      string    `json:"role"`
	ExpiresAt time.Time `json:"expires_at"`
}

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

// pipeline sends commands at once and returns the reply of each.
func (c *client) pipeline(commands ...[]string) ([]any, error) {
	var out strings.Builder
	for _, words := range commands {
		fmt.Fprintf(&out, "*%d\r\n", len(words))
		for _, word := range words {
			fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	if _, err := io.WriteString(c.conn, out.String()); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range replies {
		reply, err := c.reply()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", commands[i][0], err)
		}
		replies[i] = reply
	}
	return replies, nil
}

// reply reads a string, a list, or nil.
func (c *client) reply() (any, error) {
	line, err := c.replies.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, fmt.Errorf("empty reply")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return nil, fmt.Errorf("%s", rest)
	}
	length, err := strconv.Atoi(rest)
	if err != nil || length < 0 {
		return nil, err
	}
	switch kind {
	case '$':
		text := make([]byte, length+len("\r\n"))
		_, err = io.ReadFull(c.replies, text)
		return string(text[:length]), err
	case '*':
		list := make([]string, length)
		for i := range list {
			item, err := c.reply()
			if err != nil {
				return nil, err
			}
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("unexpected item %v", item)
			}
			list[i] = text
		}
		return list, nil
	default:
		return nil, fmt.Errorf("unexpected reply %q", line)
	}
}

func newID() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	random[6] = random[6]&0x0f | 0x40
	random[8] = random[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:]), nil
}

func (c *client) create(userID, tenantID, role string) (string, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	session := &Session{
		ID:       id,
		UserID:   userID,
		TenantID: tenantID,
		Role:     role,
		// Nanoseconds and an offset, as on a machine that is not set to UTC.
		ExpiresAt: time.Now().In(time.FixedZone("", -(3*3600 + 1800))).Add(sessionTTL),
	}
	data, err := json.Marshal(session)
	if err != nil {
		return "", err
	}
	seconds := strconv.Itoa(int(sessionTTL.Seconds()))
	_, err = c.pipeline(
		[]string{"SET", "session:" + id, string(data), "EX", seconds},
		[]string{"SADD", "user:" + userID + ":sessions", id},
		[]string{"EXPIRE", "user:" + userID + ":sessions", seconds},
	)
	return id, err
}

func (c *client) read(id string) (string, error) {
	replies, err := c.pipeline([]string{"GET", "session:" + id})
	if err != nil {
		return "", err
	}
	data, ok := replies[0].(string)
	if !ok {
		return "none", nil
	}
	var session Session
	if err := json.Unmarshal([]byte(data), &session); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s %s %s %d", session.ID, session.UserID, session.TenantID, session.Role,
		session.ExpiresAt.UnixMilli()), nil
}

func (c *client) deleteAll(userID string) (string, error) {
	replies, err := c.pipeline([]string{"SMEMBERS", "user:" + userID + ":sessions"})
	if err != nil {
		return "", err
	}
	ids, ok := replies[0].([]string)
	if !ok {
		return "", fmt.Errorf("SMEMBERS: unexpected reply %v", replies[0])
	}
	command := []string{"DEL"}
	for _, id := range ids {
		command = append(command, "session:"+id)
	}
	command = append(command, "user:"+userID+":sessions")
	_, err = c.pipeline(command)
	return "ok", err
}

func (c *client) answer(request []string) (string, error) {
	switch {
	case len(request) == 4 && request[0] == "create":
		return c.create(request[1], request[2], request[3])
	case len(request) == 2 && request[0] == "read":
		return c.read(request[1])
	case len(request) == 2 && request[0] == "delete-all":
		return c.deleteAll(request[1])
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
