// Package send has what both senders have in common: go run ./franz BOOTSTRAP TOPIC CODEC NAME COUNT
// With a TOPIC of @FILE the lines of the file are sent one by one: topic, key and value, divided by tabs.
package send

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const pause = 20 * time.Millisecond

// Arguments are those of the command line.
type Arguments struct {
	Bootstrap, Topic, Codec, Name string
	Count                         int
}

// Read gives the arguments; it panics where the count is no number.
func Read() Arguments {
	count, err := strconv.Atoi(os.Args[5])
	if err != nil {
		panic(err)
	}
	return Arguments{os.Args[1], os.Args[2], os.Args[3], os.Args[4], count}
}

// Lines has each line of the file sent, with the present time as its event time; false if there is no file.
func (a Arguments) Lines(send func(topic, key, value string) error) bool {
	path, isFile := strings.CutPrefix(a.Topic, "@")
	if !isFile {
		return false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		parts := strings.Split(line, "\t")
		now := fmt.Sprintf(`"event_time":%d`, time.Now().UnixMilli())
		if err := send(parts[0], parts[1], strings.Replace(parts[2], `"event_time":0`, now, 1)); err != nil {
			panic(err)
		}
		time.Sleep(pause)
	}
	return true
}

// Event gives the key and the JSON of one event.
func (a Arguments) Event(number int) (string, string) {
	user := fmt.Sprintf("%s-%d", a.Name, number%50)
	return user, fmt.Sprintf(
		`{"event_id":"%s-%d","event_type":"view","event_time":%d,"user_id":"%s","product_id":"%s"}`,
		a.Name, number, time.Now().UnixMilli(), user, a.Name)
}
