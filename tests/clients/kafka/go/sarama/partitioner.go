package main

import (
	"encoding/binary"

	"github.com/IBM/sarama"
)

type murmur2Partitioner struct{}

// NewMurmur2Partitioner is Kafka's default partitioner for records with a key.
func NewMurmur2Partitioner(string) sarama.Partitioner { return murmur2Partitioner{} }

func (murmur2Partitioner) RequiresConsistency() bool { return true }

func (murmur2Partitioner) Partition(message *sarama.ProducerMessage, partitions int32) (int32, error) {
	key, err := message.Key.Encode()
	if err != nil {
		return 0, err
	}
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	if len(key) > 0 {
		for i, b := range key {
			h ^= uint32(b) << (8 * i)
		}
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return int32(h&0x7fffffff) % partitions, nil
}
