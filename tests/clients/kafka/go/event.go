// Package send has what both senders have in common: go run ./franz BOOTSTRAP TOPIC CODEC NAME COUNT
package send

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

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

// Event gives the key and the JSON of one event.
func (a Arguments) Event(number int) (string, string) {
	user := fmt.Sprintf("%s-%d", a.Name, number%50)
	return user, fmt.Sprintf(
		`{"event_id":"%s-%d","event_type":"view","event_time":%d,"user_id":"%s","product_id":"%s"}`,
		a.Name, number, time.Now().UnixMilli(), user, a.Name)
}
