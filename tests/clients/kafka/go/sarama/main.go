// Sends events as sarama does by itself, or with a name that ends in "-murmur2" with the partitioner of docs/events.md.
package main

import (
	"strings"

	"github.com/IBM/sarama"
	send "storepulse.test/send"
)

func main() {
	arguments := send.Read()
	codecs := map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Producer.Return.Successes = true
	config.Producer.Compression = codecs[arguments.Codec]
	if strings.HasSuffix(arguments.Name, "-murmur2") {
		config.Producer.Partitioner = NewMurmur2Partitioner
	}
	producer, err := sarama.NewSyncProducer([]string{arguments.Bootstrap}, config)
	if err != nil {
		panic(err)
	}
	defer producer.Close()
	if arguments.Lines(func(topic, key, value string) error {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value)})
		return err
	}) {
		return
	}
	messages := make([]*sarama.ProducerMessage, arguments.Count)
	for number := range messages {
		key, value := arguments.Event(number)
		messages[number] = &sarama.ProducerMessage{
			Topic: arguments.Topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value)}
	}
	if err := producer.SendMessages(messages); err != nil {
		panic(err)
	}
}
