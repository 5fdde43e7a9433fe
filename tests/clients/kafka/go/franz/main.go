// Sends events as franz-go does by itself.
package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	send "storepulse.test/send"
)

func main() {
	arguments := send.Read()
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(arguments.Bootstrap), kgo.ProducerBatchCompression(codecs[arguments.Codec]))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	if arguments.Lines(func(topic, key, value string) error {
		record := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
		return client.ProduceSync(context.Background(), record).FirstErr()
	}) {
		return
	}
	records := make([]*kgo.Record, arguments.Count)
	for number := range records {
		key, value := arguments.Event(number)
		records[number] = &kgo.Record{Topic: arguments.Topic, Key: []byte(key), Value: []byte(value)}
	}
	if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		panic(err)
	}
}
